"""Tests of `agent/models`."""
