"""Finds the first call of Python in a stream of harmony's messages."""

from __future__ import annotations

from agent.chat.format import ToolCall
from agent.chat.harmony.messages import (
    CALL,
    CHANNEL,
    CONSTRAIN,
    CONTROL_MARK,
    CONTROL_MARKS,
    MESSAGE,
    Header,
    code_of,
    read_header,
    split_header,
)

_LONGEST_HEADER = 4_000  # characters that are kept of one, so that a text without marks takes little memory
_LONGEST_ROLE = 80  # that stand before its channel
_LONGEST_MARK = max(map(len, CONTROL_MARKS))
_BEGINNINGS = frozenset(mark[:length] for mark in CONTROL_MARKS for length in range(1, len(mark)))


class CallScanner:
    """Feed it a turn as it comes; it answers with the code of the first call of Python as soon as that is closed.

    The turn begins in a header, as the prompt and every output end with `<|start|>assistant`. A call that another
    message cuts off is none; one of another tool is refused. The verdict does not depend on how the text is cut into
    pieces. The cost of a character is constant, and so is the memory while no call is open.
    """

    def __init__(self) -> None:
        self._tail = ""  # what may be the beginning of a mark
        self._fed = 0
        self._header: str | None = ""  # None in a message's content
        self._speaker = Header()  # who speaks in it
        self._content: list[str] = []  # its content, if it may turn out to be a call
        self._passed_over = 0

    @property
    def unrun(self) -> int:
        """How many calls were cut off, or are still open."""
        return self._passed_over + (self._header is None and self._speaker.is_call)

    @property
    def end_mark(self) -> str:
        """The mark of a call, where one is open."""
        return CALL if self._header is None and self._speaker.may_be_call else ""

    def feed(self, text: str) -> ToolCall | None:
        """The first closed call, or None while there is none."""
        window = self._tail + text
        start = self._fed - len(self._tail)
        self._fed += len(text)
        position = 0
        for mark in CONTROL_MARK.finditer(window):
            self._grow(window[position : mark.start()])
            position = mark.end()
            if self._take(mark.group()):
                self._tail = ""
                return self._call(start + position)
        held = _held(window[position:])
        self._grow(window[position : len(window) - held])
        self._tail = window[len(window) - held :]
        return None

    def _grow(self, text: str) -> None:
        if self._header is not None:
            self._header = (self._header + text)[:_LONGEST_HEADER]
        elif self._speaker.may_be_call:
            self._content.append(text)

    def _call(self, end: int) -> ToolCall:
        content = "".join(self._content)
        if self._speaker.may_call_python:
            return ToolCall(code_of(content), end)
        return ToolCall(content, end, f"[there is no tool {self._speaker.recipient[:80]!r}: send code to python]")

    def _take(self, mark: str) -> bool:
        """Take a mark; whether it closes a call."""
        if self._header is not None:
            if mark == MESSAGE:
                self._speaker, self._header, self._content = read_header(self._header), None, []
                return False
            if mark == CHANNEL:
                self._header = self._header[-_LONGEST_ROLE:] + mark
                return False
            if mark == CONSTRAIN:
                self._header += mark
                return False
            self._speaker, content = split_header(self._header)  # which has no mark before its content
            self._content = [content]
            return self._end(mark) if content.strip() else self._begin(mark)
        if mark in (MESSAGE, CONSTRAIN):
            self._grow(" ")
            return False
        return self._end(mark)

    def _begin(self, mark: str) -> bool:
        """Begin a header behind a mark; no call is closed by that."""
        self._header = CHANNEL if mark == CHANNEL else ""
        return False

    def _end(self, mark: str) -> bool:
        """End a message; whether it is a call."""
        self._begin(mark)
        closed = self._speaker.calls_python(mark) or (mark == CALL and self._speaker.is_call)
        self._passed_over += self._speaker.is_call and not closed
        return closed


def _held(text: str) -> int:
    """Characters at the end of the text that may be the beginning of a mark."""
    place = text.rfind("<", -_LONGEST_MARK)
    return len(text) - place if place >= 0 and text[place:] in _BEGINNINGS else 0
