"""Tests of `submission/rehearse`."""
