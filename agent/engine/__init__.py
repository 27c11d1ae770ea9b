"""Engines: anything that continues a prompt as a stream of tokens."""
