"""A run on one page, made of what its directory holds by the standard library alone."""
