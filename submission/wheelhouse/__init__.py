"""Gathers the wheels that the agent needs on Kaggle, and proves that none is missing."""
