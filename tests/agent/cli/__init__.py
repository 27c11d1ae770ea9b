"""Tests of `agent/cli`."""
