"""Where a model that thinks without running code is given a hint that it might: Hint-infer of START.

Chengpeng Li et al., "START: Self-taught Reasoner with Tools" (2025, arXiv 2503.04625): a hint that is written into the
thinking where the model doubts itself, or would end it, makes a reasoning model use Python that no prompt could.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

_SENTENCE = r"(?:\n[ \t>-]{0,8}|[.!?:;\u2026][\"'\u201d\u2019)\]}*$\\]{0,4}[ \t]{1,4})"  # what one begins behind
_EMPHASIS = r"[*_]{0,3}"
_OPEN = r"(?<!`)`{3,}(?=[\w.+-]{0,20}[ \t]{0,8}\n)|<tool_call>(?=\s)"
_CODE_CLOSE = re.compile(r"(?<!`)```|</tool_call>")
_CONTEXT = 48  # characters, in which a mark that is not whole yet and what stands before it have room


@dataclass(frozen=True, slots=True)
class Hint:
    """A hint, given in place of what the model was about to write: a word of `at` with which a sentence begins.

    With `before_think_close` also in place of the tag that closes the thinking. `call_open` begins the code that the
    model then continues. A sample has at most `most` hints, and one before a word only `apart_chars` characters after
    the sample's beginning or the hint before it.
    """

    text: str
    call_open: str
    at: tuple[str, ...]
    before_think_close: bool
    most: int
    apart_chars: int

    def inserted(self, written: str) -> str:
        """What is inserted after a turn of this text."""
        gap = "\n\n" if written and not written[-1].isspace() else ""
        return f"{gap}{self.text}\n{self.call_open}"


@dataclass(frozen=True, slots=True)
class HintPlace:
    """Where a hint belongs: in place of `replaced` and of all that was fed after it, `dropped` characters together."""

    hint: Hint
    replaced: str
    dropped: int


class HintScanner:
    """Feed it what one sample generates as it comes, until code is run; it answers where a hint belongs.

    Code that the model writes without being told is left alone. The verdict does not depend on how the text is cut
    into pieces. The cost of a character is constant, and so is the memory.
    """

    def __init__(self, hint: Hint, think_close: str, opening: str) -> None:
        """`think_close` is the tag that closes the thinking, "" where there is none; the text continues `opening`."""
        self._hint = hint
        self._marks, self._unfinished = _patterns(hint.at, think_close)
        self._tail = "\n"  # the end of what was fed, or a line's end before it
        self._fed = 0
        self._taken = -1  # where the last mark ended
        self._given = 0
        self._last = 0  # where the last hint was given
        self._in_code = False
        self._closed = False
        self.held = 0
        """Characters at the end that a hint may yet replace."""
        self.feed(opening)

    def feed(self, text: str) -> HintPlace | None:
        """Take the next piece; the first place in it where a hint belongs. What was fed after that is forgotten."""
        if self._closed or self._given == self._hint.most:
            self.held = 0
            return None
        window = self._tail + text
        self._fed += len(text)
        start = self._fed - len(window)
        for kind, mark in self._marks_in(window, start):
            place = mark.start(kind)
            if self._takes_hint(kind, start + place):
                return self._give(mark[kind], len(window) - place)
        self._tail = window[-_CONTEXT:]
        unfinished = None if self._in_code else self._unfinished.search(window, max(0, self._taken - start))
        self.held = len(window) - unfinished.start(unfinished.lastgroup or 0) if unfinished else 0
        return None

    def _marks_in(self, window: str, start: int) -> Iterator[tuple[str, re.Match[str]]]:
        """The words and tags outside of code, in their order."""
        while not self._closed:
            pattern = _CODE_CLOSE if self._in_code else self._marks
            mark = pattern.search(window, max(0, self._taken - start))
            if mark is None:
                return
            self._taken = start + mark.end()
            if self._in_code or mark.lastgroup == "code":
                self._in_code = not self._in_code
            else:
                yield mark.lastgroup or "", mark

    def _takes_hint(self, kind: str, offset: int) -> bool:
        apart = offset - self._last >= self._hint.apart_chars
        if kind == "word":
            return apart
        self._closed = not self._hint.before_think_close or (self._given > 0 and not apart)
        return not self._closed

    def _give(self, replaced: str, dropped: int) -> HintPlace:
        self._given += 1
        self._taken, self._last = self._fed - 1, self._fed
        self._tail, self._in_code, self.held = "\n", True, 0
        return HintPlace(self._hint, replaced, dropped)


@cache  # all lanes of a run have the same
def _patterns(at: tuple[str, ...], close: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What to look for outside of code, and what may be the beginning of that at the end of the text."""
    words, tag = _one_of(at), _one_of([close] if close else [])
    begun_words = _one_of({word[:length] for word in at for length in range(1, len(word) + 1)})
    begun_tag = _one_of({close[:length] for length in range(1, len(close))})
    return (
        re.compile(rf"(?P<code>{_OPEN})|{_SENTENCE}(?P<word>{_EMPHASIS}{words})(?=\W)|(?<!`)(?P<tag>{tag})"),
        re.compile(rf"{_SENTENCE}(?P<word>{_EMPHASIS}(?:{begun_words})?)\Z|(?<!`)(?P<tag>{begun_tag})\Z"),
    )


def _one_of(texts: Iterable[str]) -> str:
    """A pattern of these texts, the longest first; of nothing where there is none."""
    return f"(?:{'|'.join(map(re.escape, sorted(texts, key=len, reverse=True))) or '(?!)'})"
