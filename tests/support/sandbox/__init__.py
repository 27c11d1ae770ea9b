"""Sandboxes for tests, and jails for hostile cells."""
