"""Tests of `tools/replay`."""
