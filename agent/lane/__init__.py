"""One sample, from its prompt to its answer."""
