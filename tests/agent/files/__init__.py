"""Tests of `agent/files`."""
