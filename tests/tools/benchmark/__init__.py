"""Tests of `tools/benchmark`."""
