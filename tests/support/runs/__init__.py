"""Runs, recordings and question files made up for tests."""
