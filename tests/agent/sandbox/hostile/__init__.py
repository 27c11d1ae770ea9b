"""Tests of the sandbox with cells that mean harm, or harm without meaning it."""
