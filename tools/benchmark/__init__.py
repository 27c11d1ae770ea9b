"""The benchmarks of QwQ's release, graded as each is in the field."""
