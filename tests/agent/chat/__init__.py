"""Tests of `agent/chat`."""
