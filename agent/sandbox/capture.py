"""What is kept of a cell's output: its head and its tail, in bounded memory."""

from __future__ import annotations

from agent.sandbox.line_starts import LineStarts


class Capture:
    """Takes bytes as they come and keeps at most about `4 * chars` of them, half from each end."""

    def __init__(self, chars: int) -> None:
        self._chars = chars
        self._half = 2 * chars  # bytes: a character of UTF-8 has at most four
        self._head = bytearray()
        self._tail = bytearray()
        self._starts = LineStarts()
        self._passed = 0  # bytes without the marks of where lines start
        self.size = 0  # bytes taken

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        self.size += len(data)
        data = self._starts.take(data)
        self._passed += len(data)
        room = max(0, self._half - len(self._head))
        self._head += data[:room]
        self._tail += data[room:][-self._half :]
        if len(self._tail) > 2 * self._half:
            del self._tail[: -self._half]

    def text(self) -> str:
        """The output, at most `chars` characters of it and a line that states the cut."""
        dropped = self._passed - len(self._head) - len(self._tail)
        if not dropped:
            whole = (self._head + self._tail).decode("utf-8", "replace")
            if len(whole) <= self._chars:
                return _printable(whole)
            head, tail, cut = whole, whole, f"{len(whole) - self._chars} characters"
        else:
            head, tail = self._head.decode("utf-8", "replace"), self._tail.decode("utf-8", "replace")
            cut = f"about {self._passed - self._chars} characters"
        keep = self._chars // 2
        rest = tail[len(tail) - (self._chars - keep) :]
        return f"{_printable(head[:keep])}\n[... {cut} of output cut ...]\n{_printable(rest)}"


# Control characters could drive a terminal that shows the output: they are spelled out.
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), 127, *range(128, 160)) if chr(code) not in "\t\n\r"}


def _printable(text: str) -> str:
    return text.translate(_CONTROLS)
