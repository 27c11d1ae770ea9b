"""Tests of `agent/chat/tool_tags`."""
