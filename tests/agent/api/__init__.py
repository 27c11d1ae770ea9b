"""Tests of the public way in: `from agent import Agent`."""
