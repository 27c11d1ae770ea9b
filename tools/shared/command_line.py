"""Shared by the commands of the tools: how they parse numbers, how they end, and what they name of each other."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Collection

from rich.console import Console

from agent.errors import AgentError
from agent.files.suggestions import no_such

REPLAYED_SAMPLES = 16
"""The lanes that a replay draws for each problem where it is not told how many."""


def run_command(command: Callable[[Console], None]) -> int:
    """Run the command with a console on standard error; return the exit status.

    An AgentError is printed there as a one-line message, with status 2; an interrupt is 130.
    """
    console = Console(stderr=True)
    try:
        command(console)
    except AgentError as error:
        console.print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def whole_number(text: str) -> int:
    """Parse a count from 1. Raises argparse's own error, which ends the command."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def whole_numbers(text: str) -> tuple[int, ...]:
    """Parse counts from 1 with commas between, in order and each once. Raises argparse's own error."""
    return tuple(sorted({whole_number(part.strip()) for part in text.split(",")}))


def positive_number(text: str) -> float:
    """Parse a finite number above 0. Raises argparse's own error, which ends the command."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value


def some_of(what: str, known: Collection[str]) -> Callable[[str], tuple[str, ...]]:
    """Return the parser of known names with commas between, each once; it raises argparse's own error."""

    def parse(text: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(no_such(f"no {what}", name, known))
        return names

    return parse
