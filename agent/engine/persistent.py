"""An engine that retries: while there is time, an outage of the server is waited out and is not a failure."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator
from contextlib import aclosing

from agent.engine.base import Chunk, Engine, OnEvent, Prompt, SamplingParams
from agent.errors import EngineError, EngineUnavailableError, RequestRefusedError

_FIRST_DELAY_SECONDS = 0.5
_MAX_DELAY_SECONDS = 30.0
_MAX_RETRY_AFTER_SECONDS = 120.0  # a server that asks for more is often back long before
_EVENT_INTERVAL_SECONDS = 30.0  # between two events that say that the engine is down
_MIN_REPORTED_OUTAGE_SECONDS = 1.0
_RESTARTING = "the engine is being started"


class PersistentEngine:
    """Wraps an engine and waits while it is unavailable.

    The delay between attempts doubles from half a second to half a minute, or is as long as the server asks for, at
    most two minutes. `on_event` is called when the engine goes down and when it is back. The engine counts as down from
    an error until its next token. `start_seconds` limits the wait for a server that is not ready when a run starts.
    Times are read from the event loop.
    """

    def __init__(self, engine: Engine, *, on_event: OnEvent = lambda text: None, start_seconds: float = 300.0) -> None:
        self._engine = engine
        self._on_event = on_event
        self._start_seconds = start_seconds
        self._polling: asyncio.Task[None] | None = None  # ends once the engine serves
        self._polling_since = 0.0
        self._down_since: float | None = None
        self._cause = ""
        self._last_error = ""
        self._downtime = 0.0
        self._reported_at: float | None = None

    @property
    def wrapped(self) -> Engine:
        """The wrapped engine."""
        return self._engine

    @property
    def unavailable(self) -> str:
        """Why the engine does not serve now; "" while it does, and during the first second of an outage."""
        long = self._seconds_down() >= _MIN_REPORTED_OUTAGE_SECONDS
        return (self._cause or _RESTARTING) if long and (self._cause or self._is_polling) else ""

    @property
    def failure(self) -> str:
        """Why it has brought nobody a token since something failed, also in an outage's first second; "" if it has."""
        return self._last_error or self.unavailable

    @property
    def downtime(self) -> float:
        """Seconds in which it did not serve, by which lanes are extended."""
        return self._downtime + self._seconds_down()

    async def start(self) -> None:
        """Return once the engine serves for the first time.

        Waits only for a server that responds that it is not ready yet. Raises EngineError otherwise.
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
                self._report_down(error)
                await asyncio.sleep(min(_delay(attempt, error), max(0.0, until - loop.time())))
                attempt += 1
            except EngineError:
                raise
            except Exception as error:
                raise EngineError(f"the engine failed to start: {_message(error)}") from error

    async def ready(self) -> None:
        """Return once the engine serves, however long that takes. Raises RequestRefusedError if it never will.

        Cancelling the wait does not cancel a restart of our server, which others may be waiting for.
        """
        if not self._is_polling:
            self._polling_since = asyncio.get_running_loop().time()
            self._polling = asyncio.create_task(self._poll())
            self._polling.add_done_callback(lambda task: task.cancelled() or task.exception())
        assert self._polling is not None
        await asyncio.shield(self._polling)

    async def recover(self, error: EngineError, attempt: int) -> None:
        """Wait until a retry makes sense after this error, the lane's `attempt`-th (from 0) without a token."""
        down = isinstance(error, EngineUnavailableError)
        self._record_failure(error, asyncio.get_running_loop().time(), down=down)
        if attempt or down:
            await asyncio.sleep(_delay(attempt, error))
        await self.ready()

    async def warm(self, prompt: str) -> None:
        """Delegate; a failure costs only the time that would have been saved."""
        try:
            await self._engine.warm(prompt)
        except Exception as error:  # noqa: BLE001
            self._on_event(f"the prompt was not prefilled: {_message(error)}")

    def release(self, prompt: str) -> None:
        """Delegate."""
        self._engine.release(prompt)

    async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
        """Continue the prompt, as `Engine.stream`."""
        async with aclosing(self._engine.stream(prompt, params)) as chunks:
            async for chunk in chunks:
                if self._down_since is not None:
                    self._record_recovery()
                yield chunk

    async def tokenize(self, text: str) -> list[int] | None:
        """Delegate; None where that fails."""
        try:
            return await self._engine.tokenize(text)
        except Exception:  # noqa: BLE001  # the caller then sends the text
            return None

    async def count_tokens(self, text: str) -> int | None:
        """Delegate; None where that fails."""
        try:
            return await self._engine.count_tokens(text)
        except Exception:  # noqa: BLE001  # the caller then uses an upper bound
            return None

    @property
    def context_tokens(self) -> int | None:
        """Delegate."""
        return self._engine.context_tokens

    async def close(self) -> None:
        """Stop polling and delegate."""
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)
        await self._engine.close()

    @property
    def _is_polling(self) -> bool:
        return self._polling is not None and not self._polling.done()

    async def _poll(self) -> None:
        """Retry `ready` until the engine serves."""
        attempt = 0
        while True:
            try:
                await self._engine.ready()
                break
            except RequestRefusedError:
                raise
            except Exception as error:  # noqa: BLE001  # any error may be temporary
                self._record_failure(error, self._polling_since, down=True)
                await asyncio.sleep(_delay(attempt, error))
                attempt += 1
        if self._down_since is None:  # our server was restarted meanwhile
            self._downtime += asyncio.get_running_loop().time() - self._polling_since

    def _record_failure(self, error: Exception, since: float, *, down: bool) -> None:
        """Record a failure at `since`: the engine is `down`, or has only broken a stream."""
        self._last_error = _message(error)
        if self._down_since is None:
            self._down_since = since
        if down:
            self._cause = _message(error)
            self._report_down(error)

    def _seconds_down(self) -> float:
        since = self._down_since
        if since is None and self._is_polling:
            since = self._polling_since
        return 0.0 if since is None else asyncio.get_running_loop().time() - since

    def _record_recovery(self) -> None:
        down = self._seconds_down()
        self._downtime += down
        self._down_since, self._cause, self._last_error = None, "", ""
        if self._reported_at is not None and down >= _MIN_REPORTED_OUTAGE_SECONDS:
            self._reported_at = None
            self._on_event(f"the engine is back after {down:.0f} s")

    def _report_down(self, error: Exception) -> None:
        now = asyncio.get_running_loop().time()
        if self._reported_at is None or now - self._reported_at >= _EVENT_INTERVAL_SECONDS:
            self._reported_at = now
            self._on_event(f"waiting for the engine: {_message(error)}{_asked(error)}")


def _delay(attempt: int, error: Exception) -> float:
    """Return the seconds to wait after the `attempt`-th consecutive failure, counted from 0."""
    own = min(_MAX_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2.0 ** min(attempt, 10))
    return max(own, min(_asked_seconds(error), _MAX_RETRY_AFTER_SECONDS))


def _asked_seconds(error: Exception) -> float:
    """Seconds that the server asked to wait; 0 if it asked for none that can be waited for."""
    asked = (error.retry_after if isinstance(error, EngineUnavailableError) else None) or 0.0
    return asked if math.isfinite(asked) else 0.0


def _asked(error: Exception) -> str:
    """What a person is told of it."""
    seconds = math.ceil(_asked_seconds(error))
    return f" (it asks to wait {seconds} s)" if seconds > 0 else ""


def _message(error: Exception) -> str:
    return str(error) if isinstance(error, EngineError) else f"{type(error).__name__}: {error}"
