"""An incremental detector of endless repetition in a stream of text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice

WINDOW = 1_400
"""Characters that must be one exact cycle: about 400 tokens.

Longer than what mathematics repeats by intent: a rule of dashes, a zero matrix of 18 rows and columns in LaTeX, a
sentence of 300 characters said four times. Lines that differ in one digit are no cycle.
"""

MAX_PERIOD = 6_500
"""The longest cycle found, in characters: a line of thought that is taken up again and again.

Distilled reasoning models mostly loop with 650 to 5,500.
"""

PARAGRAPH = 600
"""The longest cycle, in characters, of which the window alone holds enough."""

STRIDE = 100
"""Characters between two looks at the text: an exact loop is reported at most so many behind its `cycle_length`."""

_KEPT = 7 * MAX_PERIOD // 3
# How many of the last characters are sought, and how far before the end: four thirds of a period are there twice.
_SEARCHES = ((4 * PARAGRAPH // 3, PARAGRAPH, 3 * WINDOW // 4), (WINDOW, 3 * WINDOW // 4, MAX_PERIOD))

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

_NUMBER = "0"
_Place = tuple[str, ...]
_WORD = re.compile(r"[\u3040-\u9fff]|[^\W\d_\u3040-\u9fff]{1,24}|\d{1,24}")
# Kana and Chinese characters are a word each. The bound is for memory: nothing in a stream ends an endless word.


def cycle_length(period: int) -> int:
    """Characters that must repeat with this period: the window, and two and a third copies.

    Two copies may be meant (a program shown, then shown again as final); who starts on the third does not stop.
    """
    return max(WINDOW, -(-7 * period // 3))


class RepetitionGuard:
    """Tells when the text fed to it has run into an endless loop, whose copies may differ slightly.

    Its verdict does not depend on how the stream is cut into pieces. The cost of a character is constant, and so is
    the memory.
    """

    def __init__(self) -> None:
        self._cycle = CycleDetector()
        self._near = NearRepeatDetector()

    def feed(self, text: str) -> bool:
        """Take the next piece of the stream; True from the moment its tail is a loop, and ever after."""
        return self._cycle.feed(text) or self._near.feed(text)


class CycleDetector:
    """Finds loops whose copies are equal, of whatever characters.

    It looks at the last characters wherever the stream's length is a multiple of `STRIDE`, so its verdict does not
    depend on how the stream is cut into pieces.
    """

    def __init__(self) -> None:
        self._tail = ""
        self._pending = ""  # fed, but not yet a whole stride
        self._repeating = False

    def feed(self, text: str) -> bool:
        """Take the next piece of the stream; True from the moment its tail is a loop, and ever after."""
        pending = self._pending + text
        whole = len(pending) - len(pending) % STRIDE
        for start in range(0, whole, STRIDE):
            if self._repeating:
                break
            self._tail = self._tail[-_KEPT:] + pending[start : start + STRIDE]
            self._repeating = _is_cycle(self._tail)
        self._pending = pending[whole:]
        return self._repeating


class NearRepeatDetector:
    """Finds loops of words whose copies differ in a counted number, a swapped word or a "Wait," in front.

    It looks at the last words again and again, as `SPANS` says. A window is a loop if `SHARE` of its words
    lie in runs of `GRAM` words that it holds `COPIES` times, unless it has few different words or they change as in
    a calculation. Words are compared without case, punctuation and symbols are left out.
    """

    def __init__(self) -> None:
        self._words: list[str] = []
        self._count = 0  # of words so far
        self._pending = ""  # fed, but not yet a whole stride
        self._open_word = ""  # at the end of the last stride: the next one may prolong it
        self._repeating = False

    def feed(self, text: str) -> bool:
        """Take the next piece of the stream; True from the moment its tail is a loop, and ever after."""
        pending = self._pending + text
        whole = len(pending) - len(pending) % STRIDE
        for start in range(0, whole, STRIDE):
            if self._repeating:
                break
            self._take(pending[start : start + STRIDE])
        self._pending = pending[whole:]
        return self._repeating

    def _take(self, stride: str) -> None:
        text = self._open_word + stride.lower()
        found = list(_WORD.finditer(text))
        self._open_word = found.pop().group() if found and found[-1].end() == len(text) else ""
        for match in found:
            self._words.append(match.group())
            self._count += 1
            for span, every in SPANS.items():
                if self._count >= span and self._count % every == 0:
                    self._repeating = self._repeating or _is_near_repeat(self._words[-span:])
        self._words = self._words[-max(SPANS) :]


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


def _is_cycle(tail: str) -> bool:
    """Whether so many of the last characters as `cycle_length` says repeat with one period of at most `MAX_PERIOD`.

    What ends such a cycle stands a period before once more. The longer searches look for more characters than have a
    period of their own, of up to `PARAGRAPH`, as that was looked for first: so they find few places.
    """
    return _is_short_cycle(tail[-WINDOW:]) or any(
        _has_period(tail, period) for search in _SEARCHES for period in _distances(tail, *search)
    )


def _is_short_cycle(window: str) -> bool:
    """Whether the window repeats with one period of at most `PARAGRAPH` characters.

    Only the smallest shift that maps the window's head onto itself can be that period. The head is longer than
    `PARAGRAPH`, so by the theorem of Fine and Wilf (1965) a smaller shift divides every period there is.
    """
    head = window[:-PARAGRAPH]
    period = window.find(head, 1)
    return len(window) == WINDOW and period > 0 and window[period:] == window[:-period]


def _distances(tail: str, count: int, shortest: int, longest: int) -> Iterator[int]:
    """How far before the end the last `count` characters stand again, between the bounds."""
    end, stop = tail[-count:], len(tail) - shortest
    place = tail.find(end, max(0, len(tail) - count - longest), stop)
    while place >= 0:
        yield len(tail) - count - place
        place = tail.find(end, place + 1, stop)


def _has_period(tail: str, period: int) -> bool:
    length = cycle_length(period)
    return len(tail) >= length and tail[-length:-period] == tail[period - length :]
