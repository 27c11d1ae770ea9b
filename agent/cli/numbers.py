"""The numbers that flags take, each within bounds; one that is outside ends the command in one sentence."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable

_MOST = 1_000_000  # that is counted: more would end for want of memory, and not in a result
_MOST_NUMBER = 1e9  # seconds, tokens and the like
_SHOWN = 30  # characters of what was given


def whole_number(text: str) -> int:
    """Parse a count from 1 to a million. Raises argparse's own error, which ends the command."""
    value = _whole(text) if text.isdecimal() else None
    if value is None or value < 1:
        raise argparse.ArgumentTypeError(f"{_given(text)} is not a whole number above 0")
    if value > _MOST:
        raise argparse.ArgumentTypeError(f"{_given(text)} is more than {_MOST:,}")
    return int(value)


def whole_numbers(text: str) -> tuple[int, ...]:
    """Parse counts from 1 with commas between, in order and each once. Raises argparse's own error."""
    return tuple(sorted({whole_number(part.strip()) for part in text.split(",")}))


def whole_between(least: int, most: int) -> Callable[[str], int]:
    """Return the parser of a whole number from `least` to `most`, which raises argparse's own error."""

    def parse(text: str) -> int:
        value = _whole(text)
        if value is None or not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{_given(text)} is not a whole number from {least:,} to {most:,}")
        return int(value)

    return parse


def draw_seed(text: str) -> int:
    """Parse the seed of random draws, from 0 on, of at most 63 bits. Raises argparse's own error."""
    return whole_between(0, 2**63 - 1)(text)


def positive_number(text: str) -> float:
    """Parse a number above 0 and up to a thousand million. Raises argparse's own error, which ends the command."""
    value = _number(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{_given(text)} is not a number above 0")
    if value > _MOST_NUMBER:
        raise argparse.ArgumentTypeError(f"{_given(text)} is more than {_MOST_NUMBER:,.0f}")
    return value


def number_from_zero(text: str) -> float:
    """Parse 0 or a `positive_number`. Raises argparse's own error, which ends the command."""
    return 0.0 if _number(text) == 0 else positive_number(text)


def _number(text: str) -> float:
    """The number that is written; NaN for none."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _whole(text: str) -> float | None:
    """The whole number that is written, infinite where it has more digits than Python reads; None for none."""
    try:
        return int(text)
    except ValueError:
        return math.inf if text.isdecimal() else None


def _given(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...")
