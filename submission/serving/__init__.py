"""The notebook's own process: `predict`, which never raises, and its connection to the worker."""
