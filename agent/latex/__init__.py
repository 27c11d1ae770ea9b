"""Reads the integer that a piece of LaTeX stands for."""
