"""Texts of every kind that a model may write, and what scanners find in them."""
