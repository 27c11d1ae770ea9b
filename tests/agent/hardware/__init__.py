"""Tests of `agent/hardware`."""
