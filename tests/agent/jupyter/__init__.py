"""Tests of `agent.jupyter`."""
