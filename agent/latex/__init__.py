"""Parse the integer that a piece of LaTeX represents."""
