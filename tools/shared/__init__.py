"""Code shared by two or more tools."""
