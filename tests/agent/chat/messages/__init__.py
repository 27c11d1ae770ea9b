"""Tests of `agent/chat/messages`."""
