"""Tests of the agent, in the folders of what they test."""
