"""The benchmarks of QwQ's release, each graded by its usual rules."""
