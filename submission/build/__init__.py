"""Build the notebook, with the agent's source embedded in it."""
