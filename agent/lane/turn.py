"""Collects one turn of generated text and says when it has to stop."""

from __future__ import annotations

from agent.chat.format import ToolCall, ToolCallScanner
from agent.chat.hints import HintPlace, HintScanner
from agent.engine.base import Chunk
from agent.lane.repetition.detector import RepetitionDetector
from agent.types import SampleEnd, Turn


class TurnWriter:
    """The turn being generated, watched for closed tool calls, places for hints and endless repetition.

    `tokens` counts its tokens, `length` the characters of its text; `ended` says that the model has written its end.
    """

    def __init__(self, calls: ToolCallScanner | None, before: str = "", hints: HintScanner | None = None) -> None:
        """`calls` finds the turn's tool calls (None: nothing is run). A call that `before` opens is closed by it.

        `hints` finds where the sample is given a hint (None: it is given none).
        """
        self._pieces: list[str] = []
        self._before = before
        self._calls = calls
        self._hints = hints
        self._hint_at = ""
        if calls:
            calls.feed(before)
        self._repetition = RepetitionDetector()
        self._resumed_at: tuple[int, ...] = ()
        self._prompt_tokens: int | None = None
        self._cached_tokens: int | None = None
        self.tokens = 0
        self.length = 0
        self.ended = False

    @property
    def text(self) -> str:
        """What has been generated; ends with the tool call if one stopped it."""
        return "".join(self._pieces)

    def write(self, chunk: Chunk) -> ToolCall | HintPlace | SampleEnd | None:
        """Take the next piece. Returns what ends the turn here: a tool call, a hint's place, REPEATING, or None."""
        text = chunk.text
        self.tokens += chunk.tokens
        self._pieces.append(text)
        self.length += len(text)
        if chunk.prompt_tokens is not None:
            self._prompt_tokens, self._cached_tokens = chunk.prompt_tokens, chunk.cached_tokens
        hint = self._hints.feed(text) if self._hints else None
        kept = text if hint is None else text[: max(0, len(text) - hint.dropped)]
        call = self._calls.feed(kept) if self._calls else None
        if call is not None:
            self.length = call.end - len(self._before)
            self._pieces = [self.text[: self.length]]
            return call
        if hint is not None:
            self._hint_at = hint.replaced
            self.truncate(self.length - hint.dropped)
            return hint
        return SampleEnd.REPEATING if self._repetition.feed(text) else None

    @property
    def end_mark(self) -> str:
        """The mark that closes the tool call with which the model has ended its turn; "" where there is none."""
        return self._calls.end_mark if self._calls else ""

    @property
    def held(self) -> int:
        """Characters at the end of the text that a hint may yet replace."""
        return self._hints.held if self._hints else 0

    def end(self, length: int, calls: ToolCallScanner | None) -> None:
        """End the turn after so many characters, where the model ended it.

        `calls` is a fresh scanner: the one before has read the mark of the end, or a part of it, as if it stood in a
        call that is open there.
        """
        self.truncate(length)
        self.ended = True
        if self._calls and calls:
            calls.feed(self._before)
            calls.feed(self.text)
            self._calls = calls

    def truncate(self, length: int) -> None:
        """Keep so many characters of the text: what follows is no part of the turn."""
        self._pieces = [self.text[:length]]
        self.length = length

    def tail(self, length: int) -> str:
        """The last characters of the text, `length` at least where there are so many."""
        first = len(self._pieces)
        while first and length > 0:
            first -= 1
            length -= len(self._pieces[first])
        return "".join(self._pieces[first:])

    def resumed(self) -> None:
        """Note that the stream broke here and is resumed."""
        self._resumed_at += (self.tokens,)

    def turn(self, seconds: float) -> Turn:
        """Return the turn as it is now, after so many seconds."""
        return Turn(
            self.text,
            self.tokens,
            seconds,
            prompt_tokens=self._prompt_tokens,
            cached_tokens=self._cached_tokens,
            resumed_at=self._resumed_at,
            unrun_blocks=self._calls.unrun if self._calls else 0,
            hint_at=self._hint_at,
        )
