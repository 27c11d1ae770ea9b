"""Shared by the commands of the tools: how they parse names, how they end, and what they name of each other."""

from __future__ import annotations

import argparse
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


def some_of(what: str, known: Collection[str]) -> Callable[[str], tuple[str, ...]]:
    """Return the parser of known names with commas between, each once; it raises argparse's own error."""

    def parse(text: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(no_such(f"no {what}", name, known))
        return names

    return parse
