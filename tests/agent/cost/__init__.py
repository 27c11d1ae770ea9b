"""Tests of `agent/cost`."""
