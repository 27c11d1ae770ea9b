"""Tests of `agent/engine`."""
