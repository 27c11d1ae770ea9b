"""Finds where an open block of Python code is closed: by the first fence that is not in a string or comment of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

DOUBT_CHARACTERS = 1_000
"""How much may follow a fence in a string of several lines before the string is taken for one that is never ended."""

_BLANK = r"[^\S\n]"
_MARGIN = r"[^\S\n>]{0,16}(?:>[^\S\n>]{0,4}){0,4}"  # a quotation's marks among it
_WORD = r"(?:\w{11}(?=\w)|\w{1,11}(?=\W)|(?=[^\w\s]|\n))"  # or none; what follows it makes it certain


@dataclass(frozen=True, slots=True)
class Closed:
    """What stands before the closing fence, and the offset after that fence in what was fed."""

    code: str
    end: int


class FenceClose:
    """Reads code as it comes, as far as to tell strings and comments apart, until a fence closes the block.

    In the code itself a fence of backticks counts wherever it stands, as soon as it is as long as the opening one,
    whatever follows: models that forget to close a block often write ```` ```output ```` next. In a comment, or in a
    string that its line leaves open, it counts at the end of the line. In a string of several lines it belongs to the
    string, unless that is not ended soon, or the model continues with another block or ends its thinking.

    The verdict does not depend on how the code is cut into pieces. The cost of a character is constant.
    """

    def __init__(self, fence: str) -> None:
        self._rules = _rules(fence[0], len(fence))
        self._read: list[str] = []
        self._rest = "\n"  # not yet read; a break, as what a line starts with is told by the break before it
        self._place = -1  # where the rest starts in what was fed
        self._within = ""  # what a string or a comment began with; "\n" after that where a line of it starts
        self._fences = 0  # in it
        self._doubt: int | None = None  # where the code ends if the first of them is what closes the block

    def feed(self, text: str) -> Closed | None:
        """Take the next piece of the code; what the closing fence encloses once it is there."""
        self._rest += text
        position = 0
        while (match := self._rules[self._within].search(self._rest, position)) and match.lastgroup != "wait":
            position = match.end()
            closed = self._take(match.lastgroup, match.group(), self._place + match.start())
            if closed is not None:
                code, end = closed
                return Closed("".join([*self._read, self._rest])[1 : code + 1], end)
        read = match.start() if match else len(self._rest)
        self._read.append(self._rest[:read])
        self._rest = self._rest[read:]
        self._place += read
        return None

    def _take(self, kind: str | None, text: str, start: int) -> tuple[int, int] | None:
        """Take note of what was found; if it closes the block, where the code ends and where the block does."""
        end = start + len(text)
        match kind:
            case "begin":
                self._within = text
            case "end":
                self._within, self._fences, self._doubt = "", 0, None
            case "fence":
                return start + text.startswith("\n"), end
            case "last_fence" if self._fences % 2 == 0:
                return start, end + 1
            case "last_fence" | "mention":
                self._fences += 1
            case "line":
                self._within += "\n"
                if self._doubt is not None and start - self._doubt > DOUBT_CHARACTERS:
                    return self._doubt, end
            case "thought" if self._doubt is not None:
                return self._doubt, end
            case "fence_in_string" | "text":
                self._within = self._within[:-1]
                return self._fence_in_string(text, start) if text else None
        return None

    def _fence_in_string(self, text: str, start: int) -> tuple[int, int] | None:
        """Whether a fence in a string of several lines closes the block after all.

        An output is what the model has made up after its program, and so is any other block that begins where one
        seems to be open already.
        """
        word = re.split("[`~]", text)[-1].strip()
        inside = self._fences % 2 == 1
        if word == "output" or (word and inside and self._doubt is not None):
            return start if self._doubt is None else self._doubt, start + len(text) + 1
        if not word and not inside and self._doubt is None:
            self._doubt = start
        self._fences += 1
        return None


@cache
def _rules(mark: str, length: int) -> dict[str, re.Pattern[str]]:
    """What to look for next, by what one is within; `wait` is what more text may turn into something to look for."""
    ticks = f"{mark}{{{length},32}}"
    if mark == "`":
        close, half = f"{mark}{{{length}}}", f"{mark}+"
    else:
        close, half = rf"\n{_MARGIN}{mark}{{{length}}}", rf"\n{_MARGIN}{mark}*"
    quotes = "'''|\"\"\"|'(?!'|\\Z)|\"(?!\"|\\Z)"
    at_end = rf"(?P<last_fence>{ticks}{_BLANK}{{0,32}}(?=\n))"
    escape, half_escape = r"\\(?:\r\n|[^\r]|\r(?=[^\n]))", r"\\\r?"
    rest_of_line = rf"{at_end}|(?P<wait>(?:{mark}{{1,32}}{_BLANK}{{0,32}}|{half_escape})\Z)|(?P<mention>{ticks})"
    rules = {
        "": rf"(?P<fence>{close})|(?P<begin>{quotes}|\#)|''(?!\Z)|\"\"(?!\Z)|(?P<wait>(?:{half}|'{{1,2}}|\"{{1,2}})\Z)",
        "#": rf"{rest_of_line}|(?P<end>(?=\n))",
    }
    for quote in "'\"":
        rules[quote] = rf"{escape}|{rest_of_line}|(?P<end>{quote}|(?=\n))"
        long = 3 * quote
        cut_off = rf"{quote}{{1,2}}|{half_escape}|</?t?h?i?n?k?"
        rules[long] = rf"{escape}|(?P<end>{long})|(?P<line>\n)|(?P<thought></think>)|(?P<wait>(?:{cut_off})\Z)"
        started = rf"{mark}{{0,{length - 1}}}|{ticks}{_BLANK}{{0,32}}\w{{0,11}}"
        fence = rf"(?P<fence_in_string>{_MARGIN}{ticks}(?!{mark}){_BLANK}{{0,32}}{_WORD})"
        rules[long + "\n"] = rf"{fence}|(?P<wait>{_MARGIN}(?:{started})\Z)|(?P<text>)"
    return {within: re.compile(rule) for within, rule in rules.items()}
