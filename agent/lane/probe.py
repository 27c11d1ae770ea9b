"""Asks a running sample at intervals what it would answer now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from agent.types import Probe


class Prober:
    """Starts `ask` whenever `every` more tokens have come (0: never) and the last probe has ended; keeps the probes."""

    def __init__(self, every: int, ask: Callable[[int], Awaitable[Probe | None]]) -> None:
        self._every = every
        self._ask = ask
        self._asked = 0
        self._running: asyncio.Task[None] | None = None
        self.probes: list[Probe] = []

    def tokens_came(self, tokens: int) -> None:
        """The sample has so many tokens now."""
        if self._every and tokens - self._asked >= self._every and (self._running is None or self._running.done()):
            self._asked = tokens
            self._running = asyncio.get_running_loop().create_task(self._probe(tokens))

    async def close(self) -> None:
        """End the probe that runs."""
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _probe(self, tokens: int) -> None:
        probe = await self._ask(tokens)
        if probe is not None:
            self.probes.append(probe)
