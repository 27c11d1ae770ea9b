"""Solves problems from a Jupyter notebook, or from other code that is not asynchronous, and shows what came out."""
