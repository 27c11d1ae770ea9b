"""A package by vLLM's name, for tests without vLLM."""
