"""Builds the notebook, with the whole source of the agent in it."""
