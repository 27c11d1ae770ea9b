"""Tells those who listen how the text of one sample grows."""

from __future__ import annotations

from agent.events import Listener, TextWritten


class TextTeller:
    """Tells each character once, but for an end that may still turn out to be no part of the text."""

    def __init__(self, emit: Listener, problem_id: str, index: int) -> None:
        self._emit = emit
        self._problem_id = problem_id
        self._index = index
        self._told = 0  # characters of the present turn
        self._untold = ""

    def grow(self, text: str, held: int) -> None:
        """The present turn has grown by `text`, of which the last `held` characters are not settled yet."""
        self._untold += text
        settled = max(0, len(self._untold) - held)
        self._tell(self._untold[:settled], inserted=False)
        self._told += settled
        self._untold = self._untold[settled:]

    def end_turn(self, text: str) -> None:
        """The present turn has ended, with this text."""
        self._tell(text[self._told :], inserted=False)
        self._told, self._untold = 0, ""

    def insert(self, text: str) -> None:
        """The agent has written something behind the turn."""
        self._tell(text, inserted=True)

    def _tell(self, text: str, *, inserted: bool) -> None:
        if text:
            self._emit(TextWritten(self._problem_id, self._index, text, inserted))
