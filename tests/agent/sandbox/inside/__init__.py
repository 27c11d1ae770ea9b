"""Tests of `agent/sandbox/inside`."""
