"""Tests of `tools/demo`."""
