"""Policies: when to stop a problem, what time to grant it, how many lanes to start."""
