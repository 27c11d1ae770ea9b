"""Conversations as messages, for servers that put their model's template around them."""
