"""Tests of `submission/push`."""
