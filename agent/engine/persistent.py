"""Waits for an engine that does not serve: as long as there is time, being away is no failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from agent.engine.base import Chunk, Engine, Prompt, SamplingParams
from agent.errors import EngineError, EngineUnavailableError

Notice = Callable[[str], None]

_FIRST_DELAY_SECONDS = 0.5
_LONGEST_DELAY_SECONDS = 30.0
_NOTICE_SECONDS = 30.0  # between two notices that the engine is away
_SHORT_AWAY_SECONDS = 1.0  # of which nobody needs to hear


class PersistentEngine:
    """Passes everything on to `engine`, except that it does not serve now: that is waited for.

    Waiting doubles from half a second to half a minute between attempts, or lasts as long as the server asks for.
    `notice` is told when the engine is away and when it is back. The engine counts as away from an error until its
    next token. `start_seconds` bound the wait for a server that says "not yet" when a run starts. Times are read from
    the event loop.
    """

    def __init__(self, engine: Engine, *, notice: Notice = lambda text: None, start_seconds: float = 300.0) -> None:
        self._engine = engine
        self._notice = notice
        self._start_seconds = start_seconds
        self._asking = asyncio.Lock()
        self._away_since: float | None = None
        self._cause = ""
        self._downtime = 0.0
        self._noticed_at: float | None = None

    @property
    def unavailable(self) -> str:
        """Why the engine does not serve now, "" while it does, or has not for less than a second."""
        return self._cause if self._seconds_away() >= _SHORT_AWAY_SECONDS else ""

    @property
    def downtime(self) -> float:
        """Seconds in which it did not serve; lanes get them back."""
        return self._downtime + self._seconds_away()

    async def start(self) -> None:
        """Return once the engine serves for the first time.

        Waits only for a server that answers that it is not ready yet. Raises EngineError otherwise.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + self._start_seconds
        attempt = 0
        while True:
            try:
                return await self._engine.ready()
            except EngineUnavailableError as error:
                if not error.answered or loop.time() >= until:
                    raise
                self._tell_away(str(error))
                await asyncio.sleep(min(_delay(attempt, error), max(0.0, until - loop.time())))
                attempt += 1

    async def ready(self) -> None:
        """Return once the engine serves, however long that takes. Raises EngineError if it never will."""
        async with self._asking:
            attempt = 0
            began = asyncio.get_running_loop().time()
            while True:
                try:
                    await self._engine.ready()
                    break
                except EngineUnavailableError as error:
                    self._lose(error, began)
                    await asyncio.sleep(_delay(attempt, error))
                    attempt += 1
            if self._away_since is None:  # a server of ours was restarted meanwhile
                self._downtime += asyncio.get_running_loop().time() - began

    async def recover(self, error: EngineError, attempt: int) -> None:
        """Wait until it is worth to ask again after this error, the lane's `attempt`-th (from 0) without a token."""
        self._lose(error, asyncio.get_running_loop().time())
        if attempt or isinstance(error, EngineUnavailableError):
            await asyncio.sleep(_delay(attempt, error))
        await self.ready()

    async def warm(self, prompt: str) -> None:
        """Pass on."""
        await self._engine.warm(prompt)

    def release(self, prompt: str) -> None:
        """Pass on."""
        self._engine.release(prompt)

    async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
        """Continue the prompt, as `Engine.stream`."""
        async with aclosing(self._engine.stream(prompt, params)) as chunks:
            async for chunk in chunks:
                if self._away_since is not None:
                    self._return()
                yield chunk

    async def tokenize(self, text: str) -> list[int] | None:
        """Pass on."""
        return await self._engine.tokenize(text)

    async def count_tokens(self, text: str) -> int | None:
        """Pass on."""
        return await self._engine.count_tokens(text)

    @property
    def context_tokens(self) -> int | None:
        """Pass on."""
        return self._engine.context_tokens

    async def close(self) -> None:
        """Pass on."""
        await self._engine.close()

    def _lose(self, error: EngineError, since: float) -> None:
        if self._away_since is None:
            self._away_since = since
        if isinstance(error, EngineUnavailableError):
            self._cause = str(error)
            self._tell_away(self._cause)

    def _seconds_away(self) -> float:
        return 0.0 if self._away_since is None else asyncio.get_running_loop().time() - self._away_since

    def _return(self) -> None:
        away = self._seconds_away()
        self._downtime += away
        self._away_since, self._cause = None, ""
        if self._noticed_at is not None and away >= _SHORT_AWAY_SECONDS:
            self._noticed_at = None
            self._notice(f"the engine serves again after {away:.0f} s")

    def _tell_away(self, cause: str) -> None:
        now = asyncio.get_running_loop().time()
        if self._noticed_at is None or now - self._noticed_at >= _NOTICE_SECONDS:
            self._noticed_at = now
            self._notice(f"waiting for the engine: {cause}")


def _delay(attempt: int, error: EngineError) -> float:
    """Seconds to wait after the `attempt`-th failure in a row, counted from 0."""
    asked = error.retry_after if isinstance(error, EngineUnavailableError) else None
    return max(asked or 0.0, min(_LONGEST_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2.0 ** min(attempt, 10)))
