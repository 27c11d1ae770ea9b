"""Finds the first closed call in `<tool_call>` tags in a stream of text."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from agent.chat.format import ToolCall
from agent.chat.tool_tags.body import CallBody

OPEN, CLOSE = "<tool_call>", "</tool_call>"
_BLANKS = 8  # at most, between the tag and the end of its line
_OPENED = rf"{OPEN}(?:[ \t]{{0,{_BLANKS}}}\r?\n|[ \t]{{0,{_BLANKS}}}(?=[{{\[]))"
_CALL = re.compile(rf"{_OPENED}(?P<body>(?:(?!{_OPENED}).)*?)(?:(?P<close>{CLOSE})|\Z)", re.DOTALL)
_UNDECIDED = re.compile(rf"{OPEN}[ \t]{{0,{_BLANKS}}}\r?")


class TagScanner:
    """Feed it text as it comes; it answers with the call as soon as that is closed.

    A tag opens a call where its line ends behind it or JSON begins: a tag that is only mentioned opens none. A call in
    which another one begins, or the thinking ends, has been cut off and is none, nor is what cannot be read as a call
    while the model is still thinking. The verdict does not depend on how the text is cut into pieces. The cost of a
    character is constant, and so is the memory while no call is open.
    """

    def __init__(self, read: Callable[[str], CallBody], think_close: str, *, thinking: bool) -> None:
        """`read` tells what the tags enclose; `thinking` is whether the text begins within the thinking."""
        self._read = read
        self._close = think_close
        self._marks = _marks(think_close)
        self._names = (OPEN, CLOSE, *filter(None, (think_close, think_open(think_close))))
        self._longest = max(len(OPEN) + _BLANKS + 1, *map(len, self._names))
        self._thinking = thinking
        self._tail = ""  # what may be the beginning of a mark
        self._fed = 0
        self._body: list[str] | None = None  # what the open call encloses so far
        self._passed_over = 0

    @property
    def is_open(self) -> bool:
        """Whether a call is open."""
        return self._body is not None

    @property
    def unrun(self) -> int:
        """How many calls were cut off or could not be read, or are still open."""
        return self._passed_over + self.is_open

    @property
    def end_mark(self) -> str:
        """None: a call that the end of the turn cuts off is not run."""
        return ""

    def feed(self, text: str) -> ToolCall | None:
        """The first closed call, or None while there is none."""
        window = self._tail + text
        start = self._fed - len(self._tail)
        self._fed += len(text)
        position = 0
        for mark in self._marks.finditer(window):
            self._grow(window[position : mark.start()])
            position = mark.end()
            call = self._take(mark.group(), start + position)
            if call is not None:
                self._tail = ""
                return call
        held = self._held(window[position:])
        self._grow(window[position : len(window) - held])
        self._tail = window[len(window) - held :]
        return None

    def _grow(self, text: str) -> None:
        if self._body is not None:
            self._body.append(text)

    def _take(self, mark: str, end: int) -> ToolCall | None:
        """Take a mark that ends at an offset; the call that it closes."""
        body, self._body = self._body, None
        if mark.startswith(OPEN):
            self._passed_over += body is not None
            self._body = []
        elif mark == CLOSE and body is not None:
            written = "".join(body)
            found = self._read(written)
            if found.code:
                return ToolCall(found.code, end)
            if found.refusal and not self._thinking:
                return ToolCall(written.strip(), end, found.refusal)
            self._passed_over += 1
        elif mark == self._close:
            self._passed_over += body is not None
            self._thinking = False
        elif mark != CLOSE:
            self._thinking = self._thinking or body is None
            self._body = None if body is None else [*body, mark]
        return None

    def _held(self, text: str) -> int:
        """Characters at the end of the text that may be the beginning of a mark."""
        place = text.rfind("<", -self._longest)
        rest = text[place:] if place >= 0 else ""
        begun = _UNDECIDED.fullmatch(rest) or any(name.startswith(rest) for name in self._names)
        return len(rest) if begun else 0


def think_open(think_close: str) -> str:
    """The tag that opens the thinking which this one closes; "" where there is none."""
    return think_close.replace("</", "<", 1)


@cache
def _marks(think_close: str) -> re.Pattern[str]:
    thinking = [re.escape(mark) for mark in (think_close, think_open(think_close)) if mark]
    return re.compile("|".join([CLOSE, _OPENED, *thinking]))


def shown_calls(text: str, read: Callable[[str], CallBody]) -> str:
    """The text as Markdown for people: its calls as blocks of code, also one that is open or cannot be read."""

    def block(found: re.Match[str]) -> str:
        written = found["body"]
        code = read(written).code if found["close"] else ""
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", code or written)), default=0))
        head = "" if found.start() == 0 or text[found.start() - 1] == "\n" else "\n"
        return f"{head}{fence}{'python' if code else ''}\n{(code or written).strip(chr(10))}\n{fence}\n"

    return _CALL.sub(block, text)
