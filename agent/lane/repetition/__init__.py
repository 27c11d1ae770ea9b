"""Tells when the text of a sample repeats itself without end."""
