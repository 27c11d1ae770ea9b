"""Measure how often the engine is idle while a lane waits for tokens."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

import aiohttp

from agent.engine.base import Chunk, Engine, Prompt, SamplingParams
from tools.bench.delegating_engine import DelegatingEngine

_LOOK_SECONDS = 0.05
_SETTLED_SECONDS = 1.0  # a request that has just been sent is in the server's count only after its next step
_AT_WORK = re.compile(r"^vllm:num_requests_(?:running|waiting)\{[^}]*\} ([\d.]+)", re.MULTILINE)


class IdleWatch(DelegatingEngine):
    """Polls the server of an engine while its streams are open."""

    def __init__(self, engine: Engine, url: str) -> None:
        super().__init__(engine)
        self._metrics = f"{url.removesuffix('/v1')}/metrics"
        self._since: dict[int, float] = {}  # when each open stream began
        self._looker: asyncio.Task[None] | None = None
        self._looks = 0
        self._idle = 0

    @property
    def idle_share(self) -> float:
        """The share of polls during open streams in which the server was idle."""
        return self._idle / max(1, self._looks)

    async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
        """Delegate, and poll as long as any stream is open."""
        loop = asyncio.get_running_loop()
        key = id(params)
        self._since[key] = loop.time()
        if self._looker is None or self._looker.done():
            self._looker = loop.create_task(self._look())
        try:
            async with aclosing(super().stream(prompt, params)) as chunks:
                async for chunk in chunks:
                    yield chunk
        finally:
            del self._since[key]

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        async with aiohttp.ClientSession() as client:
            while self._since:
                await asyncio.sleep(_LOOK_SECONDS)
                oldest = min(self._since.values(), default=loop.time())
                asked = dict(self._since)
                with suppress(aiohttp.ClientError):
                    async with client.get(self._metrics) as response:
                        at_work = sum(float(count) for count in _AT_WORK.findall(await response.text()))
                    still = [key for key in asked if key in self._since]
                    if still and loop.time() - oldest > _SETTLED_SECONDS:
                        self._looks += 1
                        self._idle += not at_work
