"""What a scanner finds in a text."""

from __future__ import annotations

from agent.chat.fences import CodeBlock, FenceScanner


def scan(*pieces: str) -> CodeBlock | None:
    scanner = FenceScanner()
    for piece in pieces:
        if block := scanner.feed(piece):
            return block
    return None


def code(text: str) -> str | None:
    block = scan(text)
    return block.code if block else None
