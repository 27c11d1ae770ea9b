"""Engines that delegate to another one and watch its streams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from agent.engine.base import Chunk, Engine, Prompt, SamplingParams


class DelegatingEngine:
    """An engine that does what another one does; those that watch it override `stream`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def ready(self) -> None:
        """Delegate."""
        await self._engine.ready()

    async def warm(self, prompt: str) -> None:
        """Delegate."""
        await self._engine.warm(prompt)

    def release(self, prompt: str) -> None:
        """Delegate."""
        self._engine.release(prompt)

    async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
        """Delegate."""
        async with aclosing(self._engine.stream(prompt, params)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def tokenize(self, text: str) -> list[int] | None:
        """Delegate."""
        return await self._engine.tokenize(text)

    async def count_tokens(self, text: str) -> int | None:
        """Delegate."""
        return await self._engine.count_tokens(text)

    @property
    def context_tokens(self) -> int | None:
        """The engine's context length."""
        return self._engine.context_tokens

    async def close(self) -> None:
        """Delegate."""
        await self._engine.close()


class FirstTokenWatch(DelegatingEngine):
    """Records for each stream the seconds from its start to its first token, by the loop's clock."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.seconds: list[float] = []

    async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
        """Delegate, and record when the first token comes; a stream without one is not counted."""
        clock = asyncio.get_running_loop().time
        started, waits = clock(), True
        async with aclosing(super().stream(prompt, params)) as chunks:
            async for chunk in chunks:
                if waits and chunk.tokens:
                    waits = False
                    self.seconds.append(clock() - started)
                yield chunk
