"""Tests of `agent/views`."""
