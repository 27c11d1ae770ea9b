"""Tests of `agent/problems`."""
