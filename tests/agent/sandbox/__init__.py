"""Tests of `agent/sandbox`."""
