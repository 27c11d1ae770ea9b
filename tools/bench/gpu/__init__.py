"""Measures how a model is served best on this machine: its weights, KV cache, speculation and lanes."""
