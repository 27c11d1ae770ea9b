"""Tests of `tools/report`."""
