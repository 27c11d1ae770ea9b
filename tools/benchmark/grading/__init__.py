"""Whether what a reply states is right."""
