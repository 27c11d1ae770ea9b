"""Upload the submission to Kaggle, and wait for its run."""
