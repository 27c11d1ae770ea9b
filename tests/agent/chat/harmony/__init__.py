"""Tests of `agent/lane`."""
