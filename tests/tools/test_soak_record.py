"""What a soak counts as wrong: a cell that fails, unless it is told that an attack has filled its session."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from agent.sandbox.endings import NO_MEMORY
from agent.sandbox.inside.session.hints import Hints
from agent.types import ToolRun, ToolStatus
from tools.soak.command import Record, _work

HINT = f"({Hints([], 192 << 20).about_resources(SystemError(), is_short=True)})"
NO_THREAD = RuntimeError("can't start new thread")
THREADS = f"({Hints([], 192 << 20).about_resources(NO_THREAD, is_short=False)})"


@dataclass
class _Session:
    """A session of which each cell comes to the same."""

    status: ToolStatus
    output: str

    async def run(self, code: str, timeout: float | None = None) -> ToolRun:  # noqa: ASYNC109
        return ToolRun(code, self.output, self.status, 0.1)

    async def close(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize(
    ("status", "output", "wrong", "full"),
    [
        (ToolStatus.OK, "42", 0, 0),
        (ToolStatus.OK, "43", 1, 0),
        (ToolStatus.OK, f"{HINT}\n43", 1, 0),
        (ToolStatus.ERROR, "RuntimeError: can't start new thread", 1, 0),
        (ToolStatus.ERROR, f"RuntimeError: can't start new thread\n{HINT}", 0, 1),
        (ToolStatus.ERROR, f"RuntimeError: can't start new thread\n{THREADS}", 0, 1),
        (ToolStatus.TIMEOUT, "Stopped: the cell did not end within 60 s.", 1, 0),
        (ToolStatus.KILLED, "42\nThe cell's Python was killed.", 1, 0),
        (ToolStatus.KILLED, f"42\n{NO_MEMORY}192 MiB, and what earlier cells keep counts).", 0, 1),
        (ToolStatus.TIMEOUT, f"KeyboardInterrupt\n{HINT}\nStopped: the cell did not end within 60 s.", 0, 1),
    ],
)
def test_a_cell_is_wrong_unless_it_shows_what_it_must_or_is_told_that_its_session_is_full(
    status: ToolStatus, output: str, wrong: int, full: int
) -> None:
    record = Record()
    asyncio.run(_work(_Session(status, output), record, "print(42)", "42"))
    assert (len(record.wrong), record.cells["legitimate, session full"]) == (wrong, full)
    assert record.cells["legitimate"] == 1
