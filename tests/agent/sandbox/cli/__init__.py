"""Tests of `agent/sandbox/cli`."""
