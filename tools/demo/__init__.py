"""A page on which one asks a problem and watches the lanes."""
