"""Restores the variables of a lost session: runs its cells again in another process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from agent.errors import SandboxError
from agent.sandbox.history import History
from agent.sandbox.outcome import Stop
from agent.sandbox.process import SessionProcess


async def run_again(
    history: History,
    seed: int,
    acquire: Callable[[], Awaitable[SessionProcess]],
    give_up: Callable[[SessionProcess], object],
) -> SessionProcess | None:
    """Run these cells in a process from `acquire`; return it, or give it up and return None if one ended otherwise."""
    process: SessionProcess | None = None
    same = False
    try:
        async with asyncio.timeout(history.limit):
            process = await acquire()
            for past in history.cells:
                outcome = await process.run(past.source, history.limit, seed)
                if outcome.status != past.status or outcome.stop is not Stop.NONE:
                    return None
            same = True
    except (TimeoutError, SandboxError):
        return None
    finally:
        if process is not None and not same:
            give_up(process)
    return process
