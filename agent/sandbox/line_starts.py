"""Where lines of the output begin anew: what a session says itself, and where the stream written to changes."""

from __future__ import annotations

import re

from agent.sandbox.inside.session.streams import ERRORS_EDGE, LINE_START

_MARKS = re.compile(b"(" + re.escape(LINE_START) + b"|" + re.escape(ERRORS_EDGE) + b")")
_FIRST = LINE_START[:1]  # which both marks begin with


class LineStarts:
    """Reads output in pieces and turns each mark into what it takes to begin a line there: a newline or nothing.

    Two edges of texts for the stream of errors next to each other mean nothing: the stream has not changed.
    """

    def __init__(self) -> None:
        self._last = b"\n"
        self._changes = False  # whether what comes next is for another stream than what came last

    def take(self, data: bytes) -> bytes:
        """The next piece without marks. A mark that is split keeps its first byte, so that nothing is held back."""
        if self._last == _FIRST and _FIRST + data[:1] in (LINE_START, ERRORS_EDGE):
            data = _FIRST + data
        if not (self._changes or _FIRST in data):
            self._last = data[-1:] or self._last
            return data
        return b"".join(map(self._part, _MARKS.split(data)))

    def _part(self, part: bytes) -> bytes:
        if part == ERRORS_EDGE:
            self._changes = not self._changes
            return b""
        begins = part == LINE_START or (part and self._changes)
        newline = b"\n" if begins and self._last != b"\n" else b""
        if part == LINE_START:
            part = b""
        self._changes = self._changes and not part
        self._last = part[-1:] or newline or self._last
        return newline + part
