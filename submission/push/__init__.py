"""Brings the submission to Kaggle, and waits for its run."""
