"""Tests of `agent/engine/llamacpp`."""
