"""Tests of `tools/bench/gpu`."""
