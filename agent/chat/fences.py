"""Finds the first closed Python code block in a stream of text."""

from __future__ import annotations

import ast
import contextlib
import keyword
import re
import textwrap
import warnings
from collections.abc import Callable
from typing import Protocol

from agent.chat.fence_close import FenceClose
from agent.chat.format import ToolCall

_BLANK = r"[^\S\n]"
_LANGUAGE = r"(?:i?python[23]?|py3?)(?:\.\d+)*(?:[-_](?:exec(?:ute)?|run|code|script|interpreter))?"
_MARGIN = rf"{_BLANK}{{0,32}}(?:(?:>|[-*+]|\d{{1,9}}[.)]){_BLANK}{{0,16}}){{0,4}}"  # as quotes and lists have
_FENCE = re.compile(
    rf"(?:(?<=\n)(?P<margin>{_MARGIN}))?(?<![`~])(?P<fence>`{{3,32}}(?!`)|~{{3,32}}(?!~))(?P<info>[^`~\n]{{0,200}})\n"
)
_LONGEST = 400  # characters of a line that such a fence ends

_INFO = re.compile(
    rf"(?:{_LANGUAGE}(?=[\s,:;{{]|$)|\{{\s*(?:\#\S+\s+)?\.?{_LANGUAGE}(?![\w-])[^}}]*\}})(?P<rest>.*)", re.IGNORECASE
)
_ATTRIBUTES = re.compile(
    r"""(?:[\s,:;]*\{[^}]*\}|[\s,:;]+(?:"[^"]*"|\[[^]]*\]|\([^)]*\)|[\w.\#/-]+(?:=(?:"[^"]*"|'[^']*'|[^\s"'(]+))?))*[\s,:;]*"""
)
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"
_STATEMENTS = {*keyword.kwlist, "print"}
_PYTHON_LIKE = re.compile(r"\W{0,3}(?:i?py|sage|tool_code)", re.IGNORECASE)


class _Scanner(Protocol):
    """What finds calls in a text, one after the other, and knows whether one is open."""

    @property
    def is_open(self) -> bool:
        """Whether a call is open."""

    def feed(self, text: str) -> ToolCall | None:
        """The first closed call, or None while there is none."""


class FenceScanner:
    """Feed it text as it comes; it answers with the block, its code dedented, as soon as that is closed.

    A fence of backticks may open a block anywhere in a line, one of tildes at its start, quotes and list items left
    aside. After it comes the language, with attributes or none, up to the line's end. What other fences enclose is
    text like any other: an example that is run does less harm than a program that is not. A block that holds nothing is
    none, and the fence that ends it may open the next one: some models write the opening fence twice.

    The verdict does not depend on how the text is cut into pieces. The cost of a character is constant, and so is the
    memory while no block is open.
    """

    def __init__(self) -> None:
        self._line = "\n"  # the end of the last unfinished line, or the line break before it
        self._fed = 0
        self._block: _Block | None = None
        self._passed_over = 0

    @property
    def is_open(self) -> bool:
        """Whether a block is open."""
        return self._block is not None

    @property
    def unrun(self) -> int:
        """How many blocks look like Python's and have been passed over, or are still open."""
        return self._passed_over + self.is_open

    @property
    def end_mark(self) -> str:
        """None: a block that the end of the turn cuts off is not run."""
        return ""

    def feed(self, text: str) -> ToolCall | None:
        """The first closed block, or None while there is none."""
        self._fed += len(text)
        while True:
            if self._block is None:
                text = self._open(self._line + text) if "\n" in text else self._keep(text)
            block = self._block
            closed = block.feed(text) if block else None
            if block is None or closed is None:
                return None
            self._block = None
            if closed.code.strip():
                return closed
            self._line = f"\n{block.fence}"
            text = text[len(text) - (self._fed - closed.end) :]

    def _keep(self, text: str) -> str:
        self._line = (self._line + text)[-_LONGEST:]
        return ""

    def _open(self, text: str) -> str:
        """Look for a fence that opens a block; return what follows it."""
        if "```" in text or "~~~" in text:
            for match in _FENCE.finditer(text):
                first = _first_line(match)
                if first is not None:
                    rest = text[match.end() :]
                    self._block = _Block(match, first, self._fed - len(rest))
                    return rest
                self._passed_over += bool(match["margin"] is not None and _PYTHON_LIKE.match(match["info"].strip()))
        self._line = ""
        return self._keep(text[text.rindex("\n") :])


def unfinished(text: str, scanner_of: Callable[[], _Scanner]) -> tuple[str, bool]:
    """What stands behind the last call that anything follows, and whether a call is open there."""
    scanner = scanner_of()
    while (call := scanner.feed(text)) and text[call.end :]:
        scanner, text = scanner_of(), text[call.end :]
    return text, scanner.is_open


def fence_is_open(text: str) -> bool:
    """Whether a fenced block is open. One of Python may begin with two fences: their number tells of others only."""
    rest, is_open = unfinished(f"{text}\n", FenceScanner)
    return is_open or rest.count("```") % 2 == 1


def opened_blocks(text: str) -> int:
    """How many blocks of Python a text opens, or looks as if it did."""
    count, scanner = 0, FenceScanner()
    while block := scanner.feed(text):
        count += 1 + scanner.unrun
        scanner, text = FenceScanner(), text[block.end :]
    return count + scanner.unrun


class _Block:
    """An open block: where its close stands, and what it encloses. `fence` is what opened it, with its margin."""

    def __init__(self, opening: re.Match[str], first: str, start: int) -> None:
        """`first` is code that stands on the fence's own line; the next one starts at the offset `start`."""
        self._quotes = (opening["margin"] or "").count(">")
        self._close = FenceClose(opening["fence"])
        self.fence = f"{opening['margin'] or ''}{opening['fence']}"
        self._start = start - len(first)
        self._close.feed(first)  # one line that is no fence closes nothing

    def feed(self, text: str) -> ToolCall | None:
        found = self._close.feed(text)
        return ToolCall(_plain(found.code, self._quotes), self._start + found.end) if found else None


def _first_line(opening: re.Match[str]) -> str | None:
    """What code stands on the line of the fence, mostly none; None if no Python block begins here."""
    at_start = opening["margin"] is not None
    info = _INFO.fullmatch(opening["info"].strip().strip(_INVISIBLE))
    if info is None or not (at_start or opening["fence"][0] == "`"):
        return None
    rest = info["rest"].strip()
    plain = _ATTRIBUTES.fullmatch(info["rest"]) and not _STATEMENTS.intersection(rest.split()[:1])
    if not plain and not at_start:
        return None
    return "" if plain or not _is_code(rest) else f"{rest}\n"


def _is_code(line: str) -> bool:
    """Whether a statement of Python starts with this line."""
    for text in (line, f"{line}\n    pass"):
        with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Python thinks of the code is for its session
            ast.parse(text)
            return True
    return False


def _plain(code: str, quotes: int) -> str:
    """The code as Python takes it: without carriage returns, the marks of a quotation, and the block's own margin."""
    code = code.replace("\r\n", "\n")
    if quotes:
        code = re.sub(rf"^[ \t]*(?:>[ \t]?){{1,{quotes}}}", "", code, flags=re.MULTILINE)
    body, newline, last = code.rpartition("\n")
    code = textwrap.dedent(code if last.strip() else body + newline)
    # Where text in a string starts further left than the code, that does not show the margin.
    line = next((line for line in code.splitlines() if line.strip() and not line.lstrip().startswith("#")), "")
    margin = line[: len(line) - len(line.lstrip())]
    return re.sub(rf"^{re.escape(margin)}", "", code, flags=re.MULTILINE) if margin else code
