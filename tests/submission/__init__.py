"""Tests of the submission, in the folders of what they test."""
