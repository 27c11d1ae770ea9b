"""Benchmarks of speed and precision, each next to a baseline in the same run."""
