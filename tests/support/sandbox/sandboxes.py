"""A sandbox for tests, and what /proc tells of its processes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from agent.sandbox.base import Limits
from agent.sandbox.forkserver import ForkServerSandbox, ForkServerSession

LIMITS = Limits(memory_bytes=512 << 20, output_bytes=4 << 20, scratch_bytes=8 << 20, scratch_entries=200)


@contextlib.asynccontextmanager
async def sandbox(limits: Limits = LIMITS) -> AsyncIterator[ForkServerSandbox]:
    box = ForkServerSandbox(limits, warm=1)
    try:
        yield box
    finally:
        await box.close()


async def told(session: ForkServerSession, code: str, timeout: float = 20.0) -> str:  # noqa: ASYNC109
    return (await session.run(code, timeout)).output


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alive_with(word: str) -> list[int]:
    """The processes, zombies left out, on whose command line a word stands."""
    alive = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if word.encode() in path.read_bytes():
                alive.append(int(path.parent.name))
    return alive


def state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"
