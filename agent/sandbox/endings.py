"""Messages for cells that did not end by themselves."""

from __future__ import annotations

import os
import signal

from agent.sandbox.base import Limits
from agent.sandbox.client import ProcessExit
from agent.sandbox.outcome import CellOutcome, Stop
from agent.sandbox.protocol import BROKEN, CUT_OFF, ERROR, NOT_RUN, OK, OUT_OF_MEMORY

LOST = "The session was restarted: variables, functions and imports are lost."
LOST_TO_OTHERS = (
    "The session failed for what an earlier cell may have left behind, so it was restarted and this cell was run "
    "again: variables, functions and imports are lost."
)
RESTORED = (
    "The session was restarted and its earlier cells were run again: their variables are there, those of the stopped "
    "cell are lost."
)
RESTORING = (
    "The session was restarted and its earlier cells are being run again: their variables are there unless the next "
    "cell's output says that they are lost; those of the stopped cell are lost."
)
INTERFERENCE = "(Threads that an earlier cell had started were at work beside this one and may have interfered.)"
NO_MEMORY = "The cell ran out of memory (the limit is "
USABLE = (OK, ERROR, NOT_RUN)  # after a cell that ends so, its session can be used on
UNKNOWN_EXIT = ProcessExit(signal.SIGKILL, "")


def stop_reason(stop: Stop, seconds: float, limits: Limits) -> str:
    """Why the controller stopped a cell with this time limit; empty if it did not."""
    match stop:
        case Stop.TIME:
            return f"Stopped: the cell did not end within {seconds:g} s."
        case Stop.CPU:
            return f"Stopped: the cell used more than {seconds * limits.cpu_factor:g} s of CPU time."
        case Stop.OUTPUT:
            return f"Stopped: the cell printed more than {limits.output_bytes >> 20} MiB."
        case _:
            return ""


def exit_reason(outcome: CellOutcome, ended: ProcessExit, limits: Limits) -> str:
    """Why the session's process exited or had to be killed."""
    if not outcome.begun:
        return "The cell was not run: the system is too busy to begin it."
    if outcome.status == OUT_OF_MEMORY:
        return f"{NO_MEMORY}{limits.memory_bytes >> 20} MiB, and what earlier cells keep counts)."
    if outcome.status == BROKEN:
        return "The cell closed or replaced the session's output, or left Python unfit for another cell."
    if outcome.breach or outcome.status is not None:
        return "The cell wrote to the session's own socket."
    if ended.why:
        return f"The cell was ended: {ended.why}."
    if os.WIFEXITED(ended.status) and os.WEXITSTATUS(ended.status) == CUT_OFF:
        return "The cell ended the Python process, or closed or replaced the session's own socket."
    if os.WIFEXITED(ended.status):
        return "The cell ended the Python process."
    number = ended.status & 0x7F
    return (
        "The cell's Python was killed." if number == signal.SIGKILL else f"The cell crashed Python ({_name(number)})."
    )


def is_limit(outcome: CellOutcome, ended: ProcessExit) -> bool:
    """Whether only this cell hit a limit of time or memory, so that the cells before it may be run again."""
    if outcome.crowded or not outcome.begun:
        return False
    return outcome.stop in (Stop.TIME, Stop.CPU) or outcome.status == OUT_OF_MEMORY or "memory" in ended.why


def retry_note(outcome: CellOutcome, *, used: bool) -> str:
    """The note for a cell that may not be to blame for its end; empty where it is, or where nothing is wrong.

    `used`: whether the session had run cells before.
    """
    if not outcome.begun or (used and outcome.status == NOT_RUN and outcome.stop is Stop.NONE):
        return LOST
    failed = outcome.stop is Stop.OUTPUT or (outcome.stop is Stop.NONE and outcome.status not in USABLE)
    return LOST_TO_OTHERS if failed and used and (outcome.crowded or outcome.breach) else ""


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
