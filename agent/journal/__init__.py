"""The record of a run: its directory, the lines of its journal, and the one process that writes it."""
