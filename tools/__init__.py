"""Tools for developers and researchers around the agent; run from a clone."""
