"""Collect the wheels that the agent needs on Kaggle, and check that none is missing."""
