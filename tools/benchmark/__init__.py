"""The benchmarks of QwQ's release and harder ones, each graded by its usual rules."""
