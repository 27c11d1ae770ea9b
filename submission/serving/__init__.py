"""The notebook's own process: `predict`, which never raises, and what it asks."""
