"""An incremental detector of endless repetition in a stream of text."""

from __future__ import annotations

import re
from collections import Counter
from itertools import islice

WINDOW = 1_400
"""Characters that must be one exact cycle: about 400 tokens.

Longer than what mathematics repeats by intent: a rule of dashes, a zero matrix of 18 rows and columns in LaTeX, a
sentence of 300 characters said four times. Lines that differ in one digit are no cycle.
"""

MAX_PERIOD = 600
"""The longest cycle found, in characters: a paragraph.

The window holds two and a third of it. Two copies may be meant (a program shown, then shown again as final); who
starts on the third does not stop.
"""

STRIDE = 100
"""Characters between two looks at the window, so an exact loop is reported within `WINDOW + STRIDE` of its start."""

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
"""Words that tell a place within a copy: those just before it."""

CHANGES = 0.01
"""Share of a window's words that may have changed since the last copy, besides those in the commonest place.

A loop may count, or choose its first word anew. Where numbers change in two places of each line, or words alternate in
several, cases are being worked through.
"""

_WORD = re.compile(r"[\u3040-\u9fff]|[^\W\d_\u3040-\u9fff]{1,24}|\d{1,24}")
# Kana and Chinese characters are a word each. The bound is for memory: nothing in a stream ends an endless word.


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

    It looks at the last `WINDOW` characters wherever the stream's length is a multiple of `STRIDE`, so its verdict
    does not depend on how the stream is cut into pieces.
    """

    def __init__(self) -> None:
        self._window = ""
        self._pending = ""  # fed, but not yet a whole stride
        self._repeating = False

    def feed(self, text: str) -> bool:
        """Take the next piece of the stream; True from the moment its tail is a loop, and ever after."""
        pending = self._pending + text
        whole = len(pending) - len(pending) % STRIDE
        for start in range(0, whole, STRIDE):
            if self._repeating:
                break
            self._window = (self._window + pending[start : start + STRIDE])[-WINDOW:]
            self._repeating = len(self._window) == WINDOW and _is_cycle(self._window)
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

    Numbers count whatever they are. Other words count if both, the old and the new one, stand there at least `COPIES`
    times: a slip does not come back.
    """
    counts = Counter(_runs(window, PLACE + 1))
    latest: dict[tuple[str, ...], str] = {}
    changes: Counter[tuple[str, ...]] = Counter()
    for place, word in zip(_runs(window[:-1], PLACE), window[PLACE:], strict=True):
        old = latest.get(place, word)
        latest[place] = word
        if old != word and (
            (old.isdecimal() and word.isdecimal()) or min(counts[*place, old], counts[*place, word]) >= COPIES
        ):
            changes[place] += 1
    return changes.total() - max(changes.values(), default=0)


def _is_cycle(window: str) -> bool:
    """Whether the window repeats with one period of at most `MAX_PERIOD` characters.

    Only the smallest shift that maps the window's head onto itself can be that period. The head is longer than
    `MAX_PERIOD`, so by the theorem of Fine and Wilf (1965) a smaller shift divides every period there is.
    """
    head = window[:-MAX_PERIOD]
    period = window.find(head, 1)
    return period > 0 and window[period:] == window[:-period]
