"""Collects one turn of generated text and says when it has to be stopped."""

from __future__ import annotations

from agent.fences import CodeBlock, FenceScanner
from agent.guard import RepetitionGuard
from agent.types import SampleEnd


class TurnWriter:
    """The turn being generated: its text, its tokens, and a watch for closed code blocks and endless repetition."""

    def __init__(self, *, tools: bool, before: str = "") -> None:
        """`before` is what the turn goes on from; a code block that it opens is closed by the turn."""
        self._pieces: list[str] = []
        self._before = len(before)
        self._fences = FenceScanner() if tools else None
        if self._fences:
            self._fences.feed(before)
        self._guard = RepetitionGuard()
        self.tokens = 0

    @property
    def text(self) -> str:
        """What has been generated; ends at the closing fence if a code block stopped it."""
        return "".join(self._pieces)

    def write(self, text: str, tokens: int) -> CodeBlock | SampleEnd | None:
        """Take the next piece. Returns what ends the turn here: a code block to run, REPEATING, or None."""
        self.tokens += tokens
        self._pieces.append(text)
        block = self._fences.feed(text) if self._fences else None
        if block is not None:
            self._pieces = [self.text[: block.end - self._before]]
            return block
        return SampleEnd.REPEATING if self._guard.feed(text) else None
