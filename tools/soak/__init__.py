"""A long run of the sandbox with cells of every kind, and a check that nothing is wrong or left over."""
