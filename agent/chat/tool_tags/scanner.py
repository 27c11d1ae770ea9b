"""Finds the first closed call in `<tool_call>` tags in a stream of text."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from agent.chat.fences import opened_blocks
from agent.chat.format import ToolCall
from agent.chat.thinking import think_open
from agent.chat.tool_tags.body import CallBody

OPEN, CLOSE = "<tool_call>", "</tool_call>"
_FENCE = "\n```"
_BLANKS = 8  # at most, between the tag and the end of its line
_OPENED = rf"{OPEN}(?:[ \t]{{0,{_BLANKS}}}\r?\n|[ \t]{{0,{_BLANKS}}}(?=[{{\[]))"
_CALL = re.compile(rf"{_OPENED}(?P<body>(?:(?!{_OPENED}).)*?)(?:(?P<close>{CLOSE})|\Z)", re.DOTALL)
_UNDECIDED = re.compile(rf"{OPEN}[ \t]{{0,{_BLANKS}}}\r?")


class TagScanner:
    """Feed it text as it comes; it answers with the call as soon as that is closed.

    A tag opens a call where its line ends after it or JSON begins: a tag that is only mentioned opens none. A call in
    which another one begins, or the thinking ends, has been cut off and is none, nor is what cannot be read as a call
    while the model is still thinking. The verdict does not depend on how the text is cut into pieces. The cost of a
    character is constant, and so is the memory while no call is open.
    """

    def __init__(
        self, read: Callable[[str], CallBody], think_close: str, *, thinking: bool, fence_closes: bool = False
    ) -> None:
        """`read` tells what the tags enclose; `thinking` is whether the text begins within the thinking.

        `fence_closes` says that a fence ends code which none has opened, as models write it that are used to fences.
        """
        self._read = read
        self._close = think_close
        fence = _FENCE if fence_closes else ""
        self._marks = _marks(think_close, fence)
        self._names = (OPEN, CLOSE, *filter(None, (think_close, think_open(think_close), fence)))
        self._longest = max(len(OPEN) + _BLANKS + 1, *map(len, self._names))
        self._thinking = thinking
        self._tail = ""  # what may be the beginning of a mark
        self._fed = 0
        self._body: list[str] | None = None  # what the open call encloses so far
        self._start = ""  # its first characters
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
        """The closing tag, where a whole call is open: servers that hold the tag for a control token leave it out."""
        return CLOSE if self._body is not None and self._read("".join([*self._body, self._tail])).is_whole else ""

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
            if len(self._start) < len("```"):
                self._start = (self._start + text).lstrip()[: len("```")]

    def _take(self, mark: str, end: int) -> ToolCall | None:
        """Take a mark that ends at an offset; the call that it closes."""
        body, self._body = self._body, None
        if mark.startswith(OPEN):
            self._passed_over += body is not None
            self._body, self._start = [], ""
        elif body is None or mark == self._close:
            self._passed_over += body is not None
            self._thinking = mark != self._close and (self._thinking or mark == think_open(self._close))
        elif mark == CLOSE or (mark == _FENCE and self._start.strip("`")):
            return self._closed("".join(body), end)
        else:
            self._body = body
            self._grow(mark)
        return None

    def _closed(self, written: str, end: int) -> ToolCall | None:
        """The call that has been closed, where it is one."""
        found = self._read(written)
        if found.code:
            return ToolCall(found.code, end)
        if found.refusal and not self._thinking:
            return ToolCall(written.strip(), end, found.refusal)
        self._passed_over += 1
        return None

    def _held(self, text: str) -> int:
        """Characters at the end of the text that may be the beginning of a mark."""
        for place in range(max(0, len(text) - self._longest), len(text)):
            if text[place] in "<\n":
                rest = text[place:]
                if _UNDECIDED.fullmatch(rest) or any(name.startswith(rest) for name in self._names):
                    return len(rest)
        return 0


class FenceCounter:
    """Finds calls as a `TagScanner` does, and counts the fenced blocks of Python in the answer of a turn without any.

    A model that is offered functions may write blocks in place of a call, which nobody runs. What it drafts in its
    thinking is left out: `answer_of` returns what stands behind that in a turn.
    """

    def __init__(self, calls: TagScanner, answer_of: Callable[[str], str]) -> None:
        self._calls = calls
        self._answer_of = answer_of
        self._pieces: list[str] = []
        self._called = False

    @property
    def unrun(self) -> int:
        """How many calls were not run; where there was none at all, how many blocks of Python were opened."""
        if self._called or self._calls.unrun:
            return self._calls.unrun
        return opened_blocks(self._answer_of("".join(self._pieces)))

    @property
    def end_mark(self) -> str:
        """That of the calls."""
        return self._calls.end_mark

    def feed(self, text: str) -> ToolCall | None:
        """The first closed call, or None while there is none."""
        self._pieces.append(text)
        call = self._calls.feed(text)
        self._called = self._called or call is not None
        return call


@cache
def _marks(think_close: str, fence: str) -> re.Pattern[str]:
    names = [re.escape(mark) for mark in (think_close, think_open(think_close), fence) if mark]
    return re.compile("|".join([CLOSE, _OPENED, *names]))


def last_call(text: str) -> tuple[str, str] | None:
    """What stands before the call with which a text ends, and what that encloses; None where it ends with none."""
    opened = list(re.finditer(_OPENED, text)) if text.endswith(CLOSE) else []
    return (text[: opened[-1].start()], text[opened[-1].end() : -len(CLOSE)]) if opened else None


def without_calls(text: str) -> str:
    """The text without its calls, also one that is open."""
    return _CALL.sub("", text)


def shown_calls(text: str, read: Callable[[str], CallBody]) -> str:
    """The text as Markdown for people: its calls as blocks of code, also one that is open or cannot be read."""

    def block(found: re.Match[str]) -> str:
        written = found["body"]
        is_fenced = written.endswith(_FENCE) and not written.lstrip().startswith("```")  # a fence may have closed it
        written = written.removesuffix(_FENCE) if is_fenced else written
        code = read(written).code if found["close"] or is_fenced else ""
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", code or written)), default=0))
        head = "" if found.start() == 0 or text[found.start() - 1] == "\n" else "\n"
        return f"{head}{fence}{'python' if code else ''}\n{(code or written).strip(chr(10))}\n{fence}\n"

    return _CALL.sub(block, text)
