"""How a run is shown while it happens and when it has ended."""
