"""How a cell ended, as the controller saw it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Stop(StrEnum):
    """Why the controller stopped a cell."""

    NONE = ""
    TIME = "time"
    CPU = "cpu"
    OUTPUT = "output"


class CellOutcome(NamedTuple):
    """How a cell ended: the process's status (None: it is gone), why it was stopped, what it printed.

    `begun`: whether any of it may have run. `crowded`: whether threads of earlier cells acted since the last one ended,
    or may have where the process is gone.
    `breach`: the process was killed because it broke the protocol.
    """

    status: int | None
    stop: Stop
    output: str
    begun: bool
    crowded: bool
    breach: bool
