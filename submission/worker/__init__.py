"""The process that solves, beside the notebook's own."""
