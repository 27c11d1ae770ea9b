"""The events that say how the text of one sample grows."""

from __future__ import annotations

from agent.events import InsertedKind, Listener, TextGenerated, TextInserted


class TextEmitter:
    """Emits each token and each character once, but for an end that may turn out to be no part of the text."""

    def __init__(self, emit: Listener, problem_id: str, index: int) -> None:
        self._emit = emit
        self._problem_id = problem_id
        self._index = index
        self._emitted = 0  # characters of the present turn
        self._pending = ""
        self._pending_tokens = 0

    def count(self, tokens: int) -> None:
        """So many tokens have come, to be emitted with the text that they bring or with the end of the turn."""
        self._pending_tokens += tokens

    def grow(self, text: str, held: int) -> None:
        """The present turn has grown by `text`, of which the last `held` characters are not settled yet."""
        if held or self._pending:
            text = self._pending + text
            settled = max(0, len(text) - held)
            text, self._pending = text[:settled], text[settled:]
        self._emitted += len(text)
        self._emit_generated(text)

    def end_turn(self, text: str) -> None:
        """The present turn has ended, with this text."""
        self._emit_generated(text[self._emitted :])
        self._emitted, self._pending = 0, ""

    def insert(self, text: str, kind: InsertedKind) -> None:
        """The agent has written something after the turn."""
        if text:
            self._emit(TextInserted(self._problem_id, self._index, text, kind))

    def _emit_generated(self, text: str) -> None:
        tokens, self._pending_tokens = self._pending_tokens, 0
        if text or tokens:
            self._emit(TextGenerated(self._problem_id, self._index, text, tokens))
