"""Finds loops of words in a stream of text whose copies differ a little."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice, pairwise

_STRIDE = 100
"""Characters that are read together."""

SPANS = {300: 50, 800: 150}
"""Words of the windows in which near-repeats are sought, and words between two looks at each.

The first is for copies of up to about 85 words, the second for up to about 230.
"""

GRAM = 6
"""Words in a row that count as said again."""

COPIES = 3
"""How often they stand in a window that is a loop; a program that is shown twice is none."""

SHARE = 0.85
"""Share of a window's words that lie in such repeated runs where it is a loop."""

VOCABULARY = 15
"""Different words of two letters or more in each third of a window that is a loop, where a whole copy has room.

Truth tables, matrices, lists of bits and most lines of a calculation have fewer.
"""

PLACE = 3
"""Words that tell a place within a copy: those just before it. All numbers are one word for this."""

CHANGES = 0.01
"""Share of a window's words that may have changed since the last copy, besides those in the commonest place.

A loop may count, or choose its first word anew. Where numbers change in two places of each line, or words alternate in
several, cases are being worked through.
"""

LINE = 40
"""Words in which one sentence or line at least is like no other of the window, where cases are enumerated."""

CASES = 60
"""How many such sentences in a row are a loop after all: some 1,500 tokens."""

_NUMBER = "0"
_Place = tuple[str, ...]
_WORD = re.compile(r"[\u3040-\u9fff]|[^\W\d_\u3040-\u9fff]{1,24}|\d{1,24}|[.!?;\n\u3002\uff01\uff1f\uff1b]")
# Kana and Chinese characters are a word each. The bound is for memory: nothing in a stream ends an endless word.
# What may end a sentence is found with the words, but is none.


class NearRepeatDetector:
    """Finds loops of words whose copies differ in a counted number, a swapped word or a "Wait," in front.

    It looks at the last words again and again, as `SPANS` says. A window is a loop if `SHARE` of its words
    lie in runs of `GRAM` words that it holds `COPIES` times, unless it has few different words or they change as in
    a calculation. Where each short sentence is a new one it is a loop only after `CASES` of them. Words are compared
    without case, punctuation and symbols are left out.
    """

    def __init__(self) -> None:
        self._words: list[str] = []
        self._starts: list[bool] = []  # whether a sentence or a line begins with the word
        self._mark = ""  # what stands before the next word and may end a sentence
        self._enumerated = dict.fromkeys(SPANS, 0)  # words so far that enumerate cases without a break
        self._count = 0  # words so far
        self._pending = ""  # fed, but not yet a whole stride
        self._open_word = ""  # at the end of the last stride: the next one may prolong it
        self._repeating = False

    def feed(self, text: str) -> bool:
        """Take the next piece of the stream; True from the moment its tail is a loop, and ever after."""
        pending = self._pending + text
        whole = len(pending) - len(pending) % _STRIDE
        for start in range(0, whole, _STRIDE):
            if self._repeating:
                break
            self._take(pending[start : start + _STRIDE])
        self._pending = pending[whole:]
        return self._repeating

    def _take(self, stride: str) -> None:
        text = self._open_word + stride.lower()
        found = list(_WORD.finditer(text))
        self._open_word = found.pop().group() if found and found[-1].end() == len(text) else ""
        for match in found:
            self._add(match.group())
        self._words, self._starts = self._words[-max(SPANS) :], self._starts[-max(SPANS) :]

    def _add(self, word: str) -> None:
        if not word.isalnum():
            self._mark += word if len(self._mark) < 2 else ""
            return
        is_decimal = self._mark == "." and word.isdecimal() and self._words[-1:] and self._words[-1].isdecimal()
        self._starts.append(bool(self._mark) and not is_decimal)
        self._words.append(word)
        self._mark = ""
        self._count += 1
        for span, every in SPANS.items():
            if self._count >= span and self._count % every == 0:
                self._repeating = self._repeating or self._look(span, every)

    def _look(self, span: int, every: int) -> bool:
        """Whether the last words are a loop, and no enumeration that has not become too long."""
        window = self._words[-span:]
        is_repeat = _is_near_repeat(window)
        cases = _cases(window, self._starts[-span:]) if is_repeat else 0
        if cases * LINE < span:
            self._enumerated[span] = 0
            return is_repeat
        self._enumerated[span] = self._enumerated[span] + every if self._enumerated[span] else span
        return self._enumerated[span] * cases >= CASES * span


def _is_near_repeat(window: list[str]) -> bool:
    """Whether most of the window is said at least `COPIES` times in it, and is no calculation."""
    room = len(window) // COPIES
    if any(_vocabulary(window[start : start + room]) < VOCABULARY for start in range(0, room * COPIES, room)):
        return False
    counts = Counter(window)
    # A word in a repeated run is itself repeated: this cheap test spares most windows the counting of runs.
    if sum(count for count in counts.values() if count >= COPIES) < SHARE * len(window):
        return False
    return _changes(window) <= CHANGES * len(window) and _said_again(window) >= SHARE * len(window)


def _cases(window: list[str], starts: list[bool]) -> int:
    """How many whole sentences and lines stand in the window only once."""
    bounds = [at for at, is_start in enumerate(starts) if is_start]
    return list(Counter(tuple(window[start:end]) for start, end in pairwise(bounds)).values()).count(1)


def _vocabulary(words: list[str]) -> int:
    """How many different words of a language they are; numbers and the names of variables are none."""
    return sum(word.isalpha() and (len(word) > 1 or "\u3040" <= word <= "\u9fff") for word in set(words))


def _runs(window: list[str], length: int) -> list[tuple[str, ...]]:
    """All runs of so many words, one for each place where one begins."""
    return list(zip(*(islice(window, offset, None) for offset in range(length)), strict=False))


def _said_again(window: list[str]) -> int:
    """How many of the words lie in runs of `GRAM` words that stand in the window at least `COPIES` times."""
    runs = _runs(window, GRAM)
    counts = Counter(runs)
    covered = end = 0
    for start, run in enumerate(runs):
        if counts[run] >= COPIES:
            covered += start + GRAM - max(start, end)
            end = start + GRAM
    return covered


def _changes(window: list[str]) -> int:
    """How many words are not what stood in their place the last time, but for those in the place with most of them.

    Numbers are forgiven nowhere unless they count one by one: one that is another in each line is what the line works
    out. Only the last `SHARE` of the window is asked for them, as a calculation may have led up to a loop.
    """
    changes, worked_out = _changed_numbers(window[-int(SHARE * len(window)) :])
    changes += _changed_words(window)
    return worked_out + changes.total() - max(changes.values(), default=0)


def _changed_words(window: list[str]) -> Counter[_Place]:
    """How often the word that is no number changed, by place: what stands before it.

    A change counts if both words, the old and the new one, stand there at least `COPIES` times: a slip does not come
    back.
    """
    counts = Counter(_runs(window, PLACE + 1))
    latest: dict[_Place, str] = {}
    changes: Counter[_Place] = Counter()
    for place, word in zip(_runs(window[:-1], PLACE), window[PLACE:], strict=True):
        old = latest.get(place, word)
        latest[place] = word
        if old != word and min(counts[*place, old], counts[*place, word]) >= COPIES:
            changes[place] += not (old.isdecimal() and word.isdecimal())
    return changes


def _changed_numbers(window: list[str]) -> tuple[Counter[_Place], int]:
    """How often a number counted one by one, by place, and how often one was replaced by any other number.

    A place is told by what stands on both sides. Where that holds further numbers, they may be others if the number
    itself stands there only this once.
    """
    marks = [_NUMBER if word.isdecimal() else word for word in window]
    spots = [at for at in range(PLACE, len(window)) if marks[at] == _NUMBER]
    places = {
        at: [(*text[at - PLACE : at], _NUMBER, *text[at + 1 : at + 2]) for text in (window, marks)] for at in spots
    }
    counts = Counter((places[at][1], window[at]) for at in spots)
    latest: dict[_Place, str] = {}
    changes: Counter[_Place] = Counter()
    worked_out = 0
    for at in spots:
        exact, rough = places[at]
        old = latest.get(exact) or (latest.get(rough) if counts[rough, window[at]] == 1 else None)
        latest[exact] = latest[rough] = window[at]
        step = abs(int(window[at]) - int(old)) if old else 0
        changes[rough] += step == 1
        worked_out += step > 1
    return changes, worked_out
