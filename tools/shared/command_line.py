"""Shared by the commands of the tools: how they parse numbers, how they end, and what they name of each other."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from rich.console import Console

from agent.errors import AgentError

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
