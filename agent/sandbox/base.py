"""The interface between the agent and whatever runs a model's Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from agent.types import ToolRun


@dataclass(frozen=True, slots=True)
class Limits:
    """What one session may use. `output_chars` is what is kept of a cell's output: head and tail, the cut stated."""

    cell_seconds: float = 10.0
    memory_bytes: int = 2 << 30
    output_chars: int = 4_000


class Session(Protocol):
    """One sample's own Python: variables, imports and functions stay from cell to cell."""

    async def run(self, code: str, timeout: float | None = None) -> ToolRun:  # noqa: ASYNC109
        """Run one cell for at most `timeout` seconds (the limit's `cell_seconds` if None).

        Never raises for what the code does: errors, time-outs and crashes are told in the tool run's status and
        output, and the next cell works. Raises SandboxError only if no Python can be had at all.
        Cancelling the call ends the cell.
        """

    async def close(self) -> None:
        """End the session and everything it started. May be called twice."""


class Sandbox(Protocol):
    """A source of sessions."""

    async def session(self) -> Session:
        """A fresh session. Raises SandboxError if none can be started."""

    async def close(self) -> None:
        """End all sessions. May be called twice."""
