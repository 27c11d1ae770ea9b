"""What a scanner finds in a text, and how an output is shown, in the dialect of fenced blocks."""

from __future__ import annotations

from agent.chat.dialects import chat_format
from agent.chat.fences import FenceScanner
from agent.chat.format import ToolCall


def scan(*pieces: str) -> ToolCall | None:
    scanner = FenceScanner()
    for piece in pieces:
        if block := scanner.feed(piece):
            return block
    return None


def code(text: str) -> str | None:
    block = scan(text)
    return block.code if block else None


def tool_result(output: str) -> str:
    return chat_format("qwq", tools=True).tool_result(output)
