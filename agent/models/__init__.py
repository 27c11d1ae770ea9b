"""Model files, found or downloaded by name."""
