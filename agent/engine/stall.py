"""Detect stalled streams, as opposed to streams that are waiting in the server's queue."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable
from typing import TypeVar

_T = TypeVar("_T")

_TRAILER_SECONDS = 10.0  # for what may follow the end of a reply: its usage, the end marker


class StallDetector:
    """Allows the streams of one engine to be silent for `seconds`, by the event loop's clock.

    The deadline of a stream that waits for its first event is extended by each event of any other stream.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.last_event = -math.inf  # when any stream last had an event

    def watch(self) -> StreamWatch:
        """Watch another stream, which starts now."""
        return StreamWatch(self, asyncio.get_running_loop().time())


class StreamWatch:
    """The deadline of one stream."""

    def __init__(self, detector: StallDetector, now: float) -> None:
        self._detector = detector
        self._last_event = now
        self._begun = False
        self._ended = False

    def event(self, *, last: bool = False) -> None:
        """Record an event; `last` says that only trailers follow."""
        self._detector.last_event = self._last_event = asyncio.get_running_loop().time()
        self._begun, self._ended = True, last

    def keep_alive(self) -> None:
        """Record bytes that are no event, which count only for a stream that waits for its first event."""
        if not self._begun:
            self._last_event = asyncio.get_running_loop().time()

    @property
    def deadline(self) -> float:
        """When the stream counts as stalled if nothing arrives until then."""
        if self._ended:
            return self._last_event + min(self._detector.seconds, _TRAILER_SECONDS)
        last_event = self._last_event if self._begun else max(self._last_event, self._detector.last_event)
        return last_event + self._detector.seconds

    async def within(self, waiting: Awaitable[_T]) -> _T:
        """Await something. Raises TimeoutError at the deadline, which may be extended meanwhile."""
        loop = asyncio.get_running_loop()
        timer = asyncio.timeout(None)
        alarms: list[asyncio.TimerHandle] = []

        def check() -> None:
            if self.deadline <= loop.time():
                timer.reschedule(loop.time())
            else:
                alarms[:] = [loop.call_at(self.deadline, check)]

        alarms.append(loop.call_at(self.deadline, check))
        try:
            async with timer:
                return await waiting
        except TimeoutError as error:
            if timer.expired():
                raise TimeoutError(f"nothing came for {loop.time() - self._last_event:.1f} s") from error
            raise
        finally:
            alarms[0].cancel()
