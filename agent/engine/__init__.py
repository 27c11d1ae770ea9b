"""Engines: sources of tokens that continue a prompt as a stream."""
