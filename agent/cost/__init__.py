"""What the requests of a run cost, and the limit on that."""
