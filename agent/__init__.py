"""A solving agent for the AI Mathematical Olympiad: self-consistency with Python tools under a time budget."""

__version__ = "0.1.0"
