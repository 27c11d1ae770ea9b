"""A recorded run, or two to compare, as one HTML page."""
