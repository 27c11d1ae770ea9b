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
        if data.startswith(LINE_START) and data.count(_FIRST) == 1 and not self._changes:  # a value, and nothing else
            data = data[len(LINE_START) :] if self._last == b"\n" else b"\n" + data[len(LINE_START) :]
            self._last = data[-1:] or self._last
            return data
        parts = _MARKS.split(data)
        for index, part in enumerate(parts):
            if part == ERRORS_EDGE:
                self._changes, parts[index] = not self._changes, b""
                continue
            begins = part == LINE_START or (part and self._changes)
            newline = b"\n" if begins and self._last != b"\n" else b""
            if part == LINE_START:
                part = b""
            self._changes = self._changes and not part
            self._last = part[-1:] or newline or self._last
            parts[index] = newline + part
        return b"".join(parts)
