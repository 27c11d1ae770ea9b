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
        return StreamWatch(self, asyncio.get_running_loop())


class StreamWatch:
    """The deadline of one stream; `end` has to be called when that is over."""

    def __init__(self, detector: StallDetector, loop: asyncio.AbstractEventLoop) -> None:
        self._detector = detector
        self._loop = loop
        self._last_event = loop.time()
        self._begun = False
        self._ended = False
        # One alarm for all waits, at a deadline that may have been extended since: so a wait costs next to nothing.
        self._alarm: asyncio.TimerHandle | None = None
        self._wait: asyncio.Timeout | None = None

    def event(self, *, last: bool = False) -> None:
        """Record an event; `last` says that only trailers follow."""
        self._detector.last_event = self._last_event = self._loop.time()
        self._begun, self._ended = True, last
        if last:  # an earlier deadline
            self.end()

    def keep_alive(self) -> None:
        """Record bytes that are no event, which count only for a stream that waits for its first event."""
        if not self._begun:
            self._last_event = self._loop.time()

    @property
    def deadline(self) -> float:
        """When the stream counts as stalled if nothing arrives until then."""
        if self._ended:
            return self._last_event + min(self._detector.seconds, _TRAILER_SECONDS)
        last_event = self._last_event if self._begun else max(self._last_event, self._detector.last_event)
        return last_event + self._detector.seconds

    async def within(self, waiting: Awaitable[_T]) -> _T:
        """Await something. Raises TimeoutError at the deadline, which may be extended meanwhile."""
        if self._alarm is None:
            self._alarm = self._loop.call_at(self.deadline, self._check)
        timer = asyncio.timeout(None)
        try:
            async with timer:
                self._wait = timer
                return await waiting
        except TimeoutError as error:
            if timer.expired():
                raise TimeoutError(f"nothing came for {self._loop.time() - self._last_event:.1f} s") from error
            raise
        finally:
            self._wait = None

    def end(self) -> None:
        """Forget the alarm; another wait would set it again."""
        alarm, self._alarm = self._alarm, None
        if alarm is not None:
            alarm.cancel()

    def _check(self) -> None:
        self._alarm = None
        now = self._loop.time()
        if now < self.deadline:
            self._alarm = self._loop.call_at(self.deadline, self._check)
        elif self._wait is not None:
            self._wait.reschedule(now)
