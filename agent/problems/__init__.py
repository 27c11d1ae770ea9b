"""Problem files: read and written, and those that are bundled."""
