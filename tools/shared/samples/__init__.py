"""Samples from elsewhere: JSON lines, and the logs of other evaluation programs, read into one form."""
