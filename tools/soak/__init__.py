"""Soak test of the sandbox: a long run of cells of every kind that checks results, delays and leaks."""
