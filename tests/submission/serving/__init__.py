"""Tests of `submission/serving`."""
