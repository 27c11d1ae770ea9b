"""Tests of `agent/chat/hints.py`."""
