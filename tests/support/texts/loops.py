"""Texts with and without loops, and what the guard says about them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import accumulate, cycle, pairwise, takewhile

from hypothesis import strategies as st

from agent.lane.repetition.detector import CycleDetector, RepetitionDetector
from agent.lane.repetition.near_repeats import NearRepeatDetector

Detector = type[CycleDetector] | type[NearRepeatDetector] | type[RepetitionDetector]
prose = st.text(st.characters(codec="utf-8"), max_size=400)
sizes = st.lists(st.integers(1, 40), min_size=1, max_size=10)


def fires(pieces: Iterable[str], detector: Detector = RepetitionDetector) -> bool:
    guard = detector()
    verdict = False
    for piece in pieces:
        verdict = guard.feed(piece)
    return verdict


def fires_after(pieces: Iterable[str], detector: Detector = RepetitionDetector) -> int | None:
    """How many pieces (of a string: characters) are fed until the guard fires."""
    guard = detector()
    return next((count for count, piece in enumerate(pieces, 1) if guard.feed(piece)), None)


def cut(text: str, sizes: list[int]) -> list[str]:
    bounds = list(takewhile(lambda bound: bound < len(text), accumulate(cycle(sizes), initial=0)))
    return [text[start:end] for start, end in pairwise([*bounds, len(text)])]


def looped(unit: str, length: int) -> str:
    return (unit * (length // len(unit) + 1))[:length]


def processor_seconds(text: str) -> float:
    pieces, start = cut(text, [4]), time.process_time()
    fires(pieces)
    return time.process_time() - start


def takes_less(text: str, seconds: float) -> bool:
    """Whether the quickest of three runs takes less, as other work does not count; one may be enough to show it."""
    return any(processor_seconds(text) < seconds for _ in range(3))
