"""An event loop whose clock jumps to the next timer instead of waiting, so that hours of a run pass in no time."""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from itertools import count
from typing import Any, TypeVar, TypeVarTuple

_T = TypeVar("_T")
_Args = TypeVarTuple("_Args")
_RESOLUTION_SECONDS = 1e-9  # timers that are closer than this fire together


class VirtualLoop(asyncio.BaseEventLoop):
    """Real scheduling, virtual time, starting at 0 seconds.

    It watches no files, so only code without I/O can run. Its turns do what those of asyncio's loops do, in the same
    order, without looking at files, clocks and the debug mode, which cost more than what is replayed.
    """

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._due: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._numbers = count()  # timers of one moment fire in the order in which they were set

    def time(self) -> float:
        """Seconds of virtual time."""
        return self._now

    def call_soon(
        self, callback: Callable[[*_Args], object], *args: *_Args, context: Context | None = None
    ) -> asyncio.Handle:
        """Call it in the next turn of the loop."""
        handle = asyncio.Handle(callback, args, self, context)
        self._due.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_at(
        self, when: float, callback: Callable[[*_Args], object], *args: *_Args, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call it at a moment of virtual time, in seconds."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._numbers), handle))
        return handle

    def _run_once(self) -> None:
        """Run one turn, as `run_forever` asks for it: what is due, or where nothing is, the next timer."""
        due, timers = self._due, self._timers
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        if not due:
            if not timers:
                raise RuntimeError("everything waits and no timer is set: this would hang for ever")
            self._now += max(0.0, timers[0][0] - self._now)
        while timers and timers[0][0] < self._now + _RESOLUTION_SECONDS:
            due.append(heapq.heappop(timers)[2])
        for _ in range(len(due)):
            handle = due.popleft()
            if not handle.cancelled():
                handle._run()


def run_virtual(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(coroutine)
