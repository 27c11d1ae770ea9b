"""Planners: from a run so far, what its next problem gets: time, lanes, the price of a second."""
