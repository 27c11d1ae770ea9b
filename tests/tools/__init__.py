"""Tests of the tools, in the folders of what they test."""
