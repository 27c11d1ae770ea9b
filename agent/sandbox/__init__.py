"""Sandboxes: anything that runs a model's Python code in a session."""
