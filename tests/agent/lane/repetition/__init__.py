"""Tests of `agent/lane/repetition`."""
