"""Tests of `tools/bench`."""
