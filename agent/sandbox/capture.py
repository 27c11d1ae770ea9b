"""Captures a cell's output: its head and its tail, in bounded memory."""

from __future__ import annotations

import fcntl
import re
import termios

from agent.chat.output_text import overwritten, rendered
from agent.sandbox.line_starts import LineStarts

# What of a line a carriage return may write over: progress bars are mostly this.
_VERSIONS = re.compile(rb"^[^\n]*\r(?!\n)", re.MULTILINE)

_NO_BYTES = bytes(4)  # a C integer


def is_empty(pipe: int) -> bool:
    """Whether a pipe holds nothing to read at this moment; to ask takes less time than to read in vain."""
    return fcntl.ioctl(pipe, termios.FIONREAD, _NO_BYTES) == _NO_BYTES


class Capture:
    """Takes bytes as they come and keeps at most about `8 * chars` of them, half from each end."""

    def __init__(self, chars: int) -> None:
        self._chars = chars
        self._half = 2 * chars  # bytes: a character of UTF-8 has at most four
        self._head = bytearray()
        self._tail = bytearray()
        self._line = b""  # the last line, while it may still be overwritten
        self._within_line = False  # whether its beginning is kept already, so that it is no longer overwritten
        self._passed = 0  # bytes before it
        self._starts = LineStarts()
        self.size = 0  # bytes taken

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        if not data:
            return
        self.size += len(data)
        more = self._starts.take(data)
        data = self._line + more
        if b"\r" in more and not (self._within_line and b"\x1b" in data):  # which may erase what has been kept
            first = data.find(b"\r") + 1 if self._within_line else 0
            data = data[:first] + _VERSIONS.sub(_as_one, data[first:])
        whole = len(data) if data[-1:] == b"\n" else self._settled(data)
        self._line = data[whole:]
        self._within_line = not data.endswith(b"\n", 0, whole) if whole else self._within_line
        self._keep(data[:whole])

    def _settled(self, data: bytes) -> int:
        """How many of the bytes are kept as they are: all whole lines, a line too long, versions with a lone escape."""
        line = data.rfind(b"\n") + 1
        if len(data) - line >= self._half:
            return len(data)
        versions = data.rfind(b"\r") + 1
        return versions if data.find(b"\x1b", line, versions) >= 0 else line

    def _keep(self, data: bytes) -> None:
        self._passed += len(data)
        if len(self._head) + len(data) <= self._half:
            self._head += data
            return
        room = max(0, self._half - len(self._head))
        self._head += data[:room]
        self._tail += data[room:][-self._half :]
        if len(self._tail) > 2 * self._half:
            del self._tail[: -self._half]

    def text(self) -> str:
        """The output as a notebook shows it, at most `chars` characters of it and a line that states the cut."""
        end = bytes(self._tail) + self._line
        dropped = self._passed - len(self._head) - len(self._tail)
        if not dropped:
            whole = rendered((self._head + end).decode("utf-8", "replace"))
            if len(whole) <= self._chars:
                return whole
            head, tail, cut = whole, whole, f"{len(whole) - self._chars} characters"
        else:
            head, tail = rendered(self._head.decode("utf-8", "replace")), rendered(end.decode("utf-8", "replace"))
            cut = f"about {self._passed + len(self._line) - self._chars} characters"
        keep = self._chars // 2
        rest = tail[max(0, len(tail) - (self._chars - keep)) :]
        return f"{head[:keep]}\n[... {cut} of output cut ...]\n{rest}"


def _as_one(found: re.Match[bytes]) -> bytes:
    """Merge the versions of a line into what they show, so that a line that is rewritten often stays short."""
    versions = found.group()
    if versions.count(b"\r") == 1 and b"\x1b" not in versions:
        return versions
    one = overwritten(versions.decode("utf-8", "replace"))
    return versions if "\x1b" in one else one.encode() + b"\r"  # an escape that remains may be interpreted again
