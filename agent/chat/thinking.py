"""Where a model's thinking ends, and where its turn does."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from agent.chat.box import BOX, CONTENT, NEAR_END, BoxCloseScanner

# A block that is closed, at the start or the end of a line, or code within a line.
_CODE = re.compile(r"(`{3,}|~{3,})[^`\n]*\n(?s:.*?)(?:^[ \t]*\1|\1[ \t]*$)|`[^`\s](?:[^`\n]*[^`\s])?`", re.MULTILINE)
_DOUBT = re.compile(
    r"\?|\b(?:wait|no|not|but|however|wrong|incorrect|actually|hmm+|alternatively|maybe|perhaps|check|recheck|verify|let"
    r"|cannot|can't|could|unable|unsure)\b|n't\b",
    re.IGNORECASE,
)
_TENTATIVE = re.compile(r"\b(?:not|maybe|perhaps|guess|suppose|assume)\b[^.\n]{0,30}\Z", re.IGNORECASE)


def think_open(think_close: str) -> str:
    """The tag that opens the thinking which this one closes; "" where there is none."""
    return think_close.replace("</", "<", 1)


def thinking_end(text: str, close: str) -> int | None:
    """Where the tag stands that closes the thinking; None while it is open.

    A tag in a code block or in inline code closes nothing. Of several tags it is the last one with something after
    it, or else the first.
    """
    if not close or close not in text:
        return None
    visible = _CODE.sub(lambda found: " " * len(found.group()), text)
    places = [found.start() for found in re.finditer(re.escape(close), visible)]
    if not places:
        return None
    behind = visible.rstrip()
    while behind.endswith(close):
        behind = behind.removesuffix(close).rstrip()
    return max((place for place in places if place < len(behind)), default=places[0])


def near_its_end(thinking: str) -> str:
    """The end of the thinking from the first box on that stands near it; "" where none does, or it is doubted there.

    A box is doubted where a question mark, a doubting word or another number follows the last one, or a tentative word
    stands before it.
    """
    tail = thinking.rstrip()
    boxes = list(BOX.finditer(tail, max(0, len(tail) - NEAR_END)))
    if not boxes:
        return ""
    behind = CONTENT.sub("", tail[boxes[-1].end() :], count=1)
    doubted = re.search(r"\d", behind) or is_doubted(behind) or _TENTATIVE.search(tail[: boxes[-1].start()][-60:])
    return "" if doubted else tail[boxes[0].start() :]


def is_doubted(text: str) -> bool:
    """Whether a question mark or a doubting word stands in the text."""
    return _DOUBT.search(text) is not None


class TurnEndScanner:
    """Finds the first of the given marks in a stream of text, however that is cut into pieces."""

    def __init__(self, marks: Sequence[str], begun_box: str = "") -> None:
        """A box that the text completes, once `begun_box` has begun it, ends the turn too; "" where there is none."""
        self._box = BoxCloseScanner(begun_box) if begun_box else None
        self._marks = tuple(marks)
        self._beginnings, self._first, self._longest = _beginnings(self._marks)
        self._tail = ""  # the end of the text as far as it may begin a mark
        self._fed = 0

    def feed(self, text: str) -> int | None:
        """Where the turn ends in all the text fed so far: before its first mark, behind its box; None if nowhere."""
        window = self._tail + text
        start = self._fed - len(self._tail)
        first = self._first.search(window)
        places = [start + place for mark in self._marks if (place := window.find(mark)) >= 0] if first else []
        closed = self._box.feed(text) if self._box else None
        if closed is not None:
            places.append(closed)
        if places:
            return min(places)
        self._fed += len(text)
        self._tail = self._begun(window) if first else ""
        return None

    def _begun(self, window: str) -> str:
        """The longest end of the text that begins a mark."""
        for found in self._first.finditer(window, max(0, len(window) - self._longest + 1)):
            if window[found.start() :] in self._beginnings:
                return window[found.start() :]
        return ""

    @property
    def held(self) -> int:
        """Characters at the end of the text that may be the beginning of a mark."""
        return len(self._tail)


@cache  # all lanes of a run have the same marks
def _beginnings(marks: tuple[str, ...]) -> tuple[frozenset[str], re.Pattern[str], int]:
    """All that begins a mark and is none yet, what finds the first character of one, and the longest one's length."""
    firsts = "".join(re.escape(mark[0]) for mark in marks)
    beginnings = frozenset(mark[:length] for mark in marks for length in range(1, len(mark)))
    return beginnings, re.compile(f"[{firsts}]"), max(map(len, marks))
