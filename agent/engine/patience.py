"""Tells a stream that has fallen silent from one that waits for its turn in the server's queue."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")

_LAST_WORDS_SECONDS = 10.0  # for what may follow the end of a reply: its usage, the mark of the end


class Patience:
    """How long the streams of one engine may be silent: `seconds`, by the event loop's clock.

    The time of a stream that waits for its first event begins anew with each event of any other stream.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.heard = -math.inf  # when any stream has had an event for the last time

    def timer(self) -> SilenceTimer:
        """For one more stream, which begins now."""
        return SilenceTimer(self, asyncio.get_running_loop().time())


class SilenceTimer:
    """How long one stream may be silent."""

    def __init__(self, patience: Patience, now: float) -> None:
        self._patience = patience
        self._heard = now
        self._begun = False
        self._ended = False

    def event(self, *, last: bool = False) -> None:
        """An event came; the `last` one that matters if so."""
        self._patience.heard = self._heard = asyncio.get_running_loop().time()
        self._begun, self._ended = True, last

    def sign_of_life(self) -> None:
        """Something came that is no event, which tells something only of a stream that waits for its first."""
        if not self._begun:
            self._heard = asyncio.get_running_loop().time()

    @property
    def deadline(self) -> float:
        """When the stream is to be given up if nothing comes until then."""
        if self._ended:
            return self._heard + min(self._patience.seconds, _LAST_WORDS_SECONDS)
        heard = self._heard if self._begun else max(self._heard, self._patience.heard)
        return heard + self._patience.seconds

    async def within(self, waiting: Awaitable[T]) -> T:
        """What is waited for. Raises TimeoutError at the deadline, which may move on meanwhile."""
        loop = asyncio.get_running_loop()
        limit = asyncio.timeout(None)
        alarms: list[asyncio.TimerHandle] = []

        def look() -> None:
            if self.deadline <= loop.time():
                limit.reschedule(loop.time())
            else:
                alarms[:] = [loop.call_at(self.deadline, look)]

        alarms.append(loop.call_at(self.deadline, look))
        try:
            async with limit:
                return await waiting
        except TimeoutError as error:
            if limit.expired():
                raise TimeoutError(f"nothing came for {loop.time() - self._heard:.1f} s") from error
            raise
        finally:
            alarms[0].cancel()
