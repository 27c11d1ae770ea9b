"""What the commands of this folder share: how they read numbers and how they end."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from rich.console import Console

from agent.errors import AgentError


def run_command(command: Callable[[Console], None]) -> int:
    """Run it with a console on standard error; the exit status.

    What the user has to fix is told there in one sentence, with status 2; an interrupt is 130.
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
    """The value of a flag that counts things, from 1. Raises argparse's own error, which ends the command."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)
