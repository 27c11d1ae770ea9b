"""Report a recorded run, or compare two, as one HTML page."""
