"""An incremental detector of endless repetition in a stream of text."""

from __future__ import annotations

from collections.abc import Iterator

from agent.lane.repetition.near_repeats import NearRepeatDetector

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
"""Characters between two looks at the text: an exact loop is reported at most so many after its `cycle_length`."""

_KEPT = 7 * MAX_PERIOD // 3
# How many of the last characters are sought, and how far before the end: four thirds of a period are there twice.
_SEARCHES = ((4 * PARAGRAPH // 3, PARAGRAPH, 3 * WINDOW // 4), (WINDOW, 3 * WINDOW // 4, MAX_PERIOD))


def cycle_length(period: int) -> int:
    """Characters that must repeat with this period: the window, and two and a third copies.

    Two copies may be meant (a program shown, then shown again as final); who starts on the third does not stop.
    """
    return max(WINDOW, -(-7 * period // 3))


class RepetitionDetector:
    """Tells when the text fed to it has run into an endless loop, whose copies may differ slightly.

    Its verdict does not depend on how the stream is cut into pieces. The cost of a character is constant, and so is
    the memory.
    """

    def __init__(self) -> None:
        self._detectors: tuple[CycleDetector, NearRepeatDetector] | None = None  # none before a whole stride came
        self._pieces: list[str] = []  # not yet looked at: both look at whole strides only
        self._missing = STRIDE
        self._repeating = False

    def feed(self, text: str) -> bool:
        """Take the next piece of the stream; True from the moment its tail is a loop, and ever after."""
        self._pieces.append(text)
        self._missing -= len(text)
        if self._missing <= 0:
            whole = "".join(self._pieces)
            self._pieces, self._missing = [], self._missing % STRIDE or STRIDE
            cycle, near = self._detectors = self._detectors or (CycleDetector(), NearRepeatDetector())
            self._repeating = self._repeating or cycle.feed(whole) or near.feed(whole)
        return self._repeating


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
