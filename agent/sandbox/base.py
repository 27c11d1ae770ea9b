"""The interface between the agent and whatever runs a model's Python."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from agent.types import ToolRun


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one session; `total_memory_bytes` is for all sessions together (0: half of the host's).

    `output_chars` is what is kept of a cell's output: head and tail, the cut stated; a cell that prints more
    than `output_bytes` is ended. A cell may use `cpu_factor` seconds of CPU time for each second of its
    limit.
    """

    cell_seconds: float = 10.0
    memory_bytes: int = 2 << 30
    output_chars: int = 4_000
    cpu_factor: float = 2.0
    total_memory_bytes: int = 0
    output_bytes: int = 32 << 20
    scratch_bytes: int = 128 << 20
    scratch_entries: int = 4_096
    file_bytes: int = 64 << 20
    open_files: int = 64
    threads: int = 64
    source_bytes: int = 8 << 20


class Session(Protocol):
    """One sample's own Python: variables, imports and functions stay from cell to cell."""

    async def run(self, code: str, timeout: float | None = None) -> ToolRun:  # noqa: ASYNC109
        """Run one cell for at most `timeout` seconds (the limit's `cell_seconds` if None).

        Never raises for what the code does: the tool run's status and output report errors, time-outs and
        crashes, and the next cell works. Raises SandboxError only if no Python can be had at all.
        Cancelling the call ends the cell.
        """

    async def close(self) -> None:
        """End the session and everything it started. May be called twice."""


class Sandbox(Protocol):
    """A source of sessions."""

    async def session(self, seed: int | None = None) -> Session:
        """A fresh session, whose random numbers all come from `seed` (drawn at random if None).

        Raises SandboxError if none can be started.
        """

    async def close(self) -> None:
        """End all sessions. May be called twice."""
