"""Doubles, inputs and helpers that several test files share."""
