"""Waits for an engine that does not serve: as long as there is time, being away is no failure."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from agent.engine.base import Chunk, Engine, Prompt, SamplingParams
from agent.errors import EngineError, EngineUnavailableError, RequestRefusedError

Notice = Callable[[str], None]

_FIRST_DELAY_SECONDS = 0.5
_LONGEST_DELAY_SECONDS = 30.0
_LONGEST_ASKED_SECONDS = 120.0  # that a server may ask for: it is often back long before
_NOTICE_SECONDS = 30.0  # between two notices that the engine is away
_SHORT_AWAY_SECONDS = 1.0  # shorter outages are not reported
_RESTARTING = "the engine is being started"


class PersistentEngine:
    """Passes everything on to `engine`, except that it does not serve now: that is waited for.

    Waiting doubles from half a second to half a minute between attempts, or lasts as long as the server asks for, two
    minutes at most.
    `notice` is told when the engine is away and when it is back. The engine counts as away from an error until its
    next token. `start_seconds` bound the wait for a server that says "not yet" when a run starts. Times are read from
    the event loop.
    """

    def __init__(self, engine: Engine, *, notice: Notice = lambda text: None, start_seconds: float = 300.0) -> None:
        self._engine = engine
        self._notice = notice
        self._start_seconds = start_seconds
        self._asking: asyncio.Task[None] | None = None  # whether it serves, until it does
        self._asked_since = 0.0
        self._away_since: float | None = None
        self._cause = ""
        self._downtime = 0.0
        self._noticed_at: float | None = None

    @property
    def wrapped(self) -> Engine:
        """The engine that is waited for."""
        return self._engine

    @property
    def unavailable(self) -> str:
        """Why the engine does not serve now, "" while it does, or has not for less than a second."""
        long = self._seconds_away() >= _SHORT_AWAY_SECONDS
        return (self._cause or _RESTARTING) if long and (self._cause or self._is_asked) else ""

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
            except EngineError:
                raise
            except Exception as error:
                raise EngineError(f"the engine failed at its start: {_told(error)}") from error

    async def ready(self) -> None:
        """Return once the engine serves, however long that takes. Raises RequestRefusedError if it never will.

        Cancelling the wait does not cancel a restart of a server of ours that others will wait for, too.
        """
        if not self._is_asked:
            self._asked_since = asyncio.get_running_loop().time()
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(lambda task: task.cancelled() or task.exception())
        assert self._asking is not None
        await asyncio.shield(self._asking)

    async def recover(self, error: EngineError, attempt: int) -> None:
        """Wait until it is worth to ask again after this error, the lane's `attempt`-th (from 0) without a token."""
        away = isinstance(error, EngineUnavailableError)
        self._lose(error, asyncio.get_running_loop().time(), away=away)
        if attempt or away:
            await asyncio.sleep(_delay(attempt, error))
        await self.ready()

    async def warm(self, prompt: str) -> None:
        """Pass on; a failure costs nothing but the time that would have been saved."""
        try:
            await self._engine.warm(prompt)
        except Exception as error:  # noqa: BLE001
            self._notice(f"the prompt was not evaluated beforehand: {_told(error)}")

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
        """Pass on; None where that fails."""
        try:
            return await self._engine.tokenize(text)
        except Exception:  # noqa: BLE001  # the text itself will do
            return None

    async def count_tokens(self, text: str) -> int | None:
        """Pass on; None where that fails."""
        try:
            return await self._engine.count_tokens(text)
        except Exception:  # noqa: BLE001  # a bound will do
            return None

    @property
    def context_tokens(self) -> int | None:
        """Pass on."""
        return self._engine.context_tokens

    async def close(self) -> None:
        """Pass on."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        await self._engine.close()

    @property
    def _is_asked(self) -> bool:
        return self._asking is not None and not self._asking.done()

    async def _ask(self) -> None:
        """Ask whether the engine serves until it does."""
        attempt = 0
        while True:
            try:
                await self._engine.ready()
                break
            except RequestRefusedError:
                raise
            except Exception as error:  # noqa: BLE001  # whatever it is, it may pass
                self._lose(error, self._asked_since, away=True)
                await asyncio.sleep(_delay(attempt, error))
                attempt += 1
        if self._away_since is None:  # a server of ours was restarted meanwhile
            self._downtime += asyncio.get_running_loop().time() - self._asked_since

    def _lose(self, error: Exception, since: float, *, away: bool) -> None:
        """The engine has failed at `since`; whether it is `away`, or has only broken a stream."""
        if self._away_since is None:
            self._away_since = since
        if away:
            self._cause = _told(error)
            self._tell_away(self._cause)

    def _seconds_away(self) -> float:
        since = self._away_since
        if since is None and self._is_asked:
            since = self._asked_since
        return 0.0 if since is None else asyncio.get_running_loop().time() - since

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


def _delay(attempt: int, error: Exception) -> float:
    """Seconds to wait after the `attempt`-th failure in a row, counted from 0."""
    asked = (error.retry_after if isinstance(error, EngineUnavailableError) else None) or 0.0
    own = min(_LONGEST_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2.0 ** min(attempt, 10))
    return max(own, min(asked, _LONGEST_ASKED_SECONDS)) if math.isfinite(asked) else own


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, EngineError) else f"{type(error).__name__}: {error}"
