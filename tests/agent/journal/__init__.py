"""Tests of `agent/journal`."""
