"""Tests of `submission/build`."""
