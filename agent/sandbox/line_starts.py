"""Where what a session says itself begins: on a line of its own, whatever a cell has written before it."""

from __future__ import annotations

from agent.sandbox.inside.streams import LINE_START


class LineStarts:
    """Reads output in pieces and turns each mark into what it takes to begin a line there: a newline or nothing."""

    def __init__(self) -> None:
        self._last = b"\n"

    def take(self, data: bytes) -> bytes:
        """The next piece without marks. A mark that is split keeps its first byte, so that nothing is held back."""
        if data.startswith(LINE_START[1:]) and self._last == LINE_START[:1]:
            data = LINE_START + data[1:]
        if LINE_START in data:
            data = self._begin_lines(*data.split(LINE_START))
        self._last = data[-1:] or self._last
        return data

    def _begin_lines(self, first: bytes, *others: bytes) -> bytes:
        parts, last = [first], first[-1:] or self._last
        for other in others:
            parts += (b"" if last == b"\n" else b"\n", other)
            last = other[-1:] or b"\n"
        return b"".join(parts)
