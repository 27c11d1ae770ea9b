"""Probes a running sample: at intervals its present answer is forced beside its stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from agent.chat.thinking import TurnEndScanner
from agent.engine.base import Chunk
from agent.types import Probe


class Prober:
    """Starts a probe whenever `every` more tokens have come (0: never) and none is running; keeps the results."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._probed_at = 0
        self._running: asyncio.Task[None] | None = None
        self.probes: list[Probe] = []

    def tokens_came(self, tokens: int, probe: Callable[[int], Awaitable[Probe | None]]) -> None:
        """Start `probe` if the sample, with so many tokens now, is due for one."""
        if self._every and tokens - self._probed_at >= self._every and (self._running is None or self._running.done()):
            self._probed_at = tokens
            self._running = asyncio.get_running_loop().create_task(self._keep(tokens, probe))

    async def close(self) -> None:
        """Cancel the running probe."""
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _keep(self, tokens: int, probe: Callable[[int], Awaitable[Probe | None]]) -> None:
        result = await probe(tokens)
        if result is not None:
            self.probes.append(result)


async def read_reply(stream: AsyncGenerator[Chunk, None], ends: TurnEndScanner) -> str:
    """The text of a stream up to where it ends the turn; what would follow is not generated."""
    text = ""
    async with aclosing(stream) as chunks:
        async for chunk in chunks:
            text += chunk.text
            end = ends.feed(chunk.text)
            if end is not None:
                return text[:end]
    return text
