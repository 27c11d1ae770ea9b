"""The memory that a model needs, the hardware that is there, and how fast a model runs on it."""
