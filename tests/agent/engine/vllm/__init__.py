"""Tests of `agent/engine/vllm`."""
