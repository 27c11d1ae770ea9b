"""Tests of `agent/policy`."""
