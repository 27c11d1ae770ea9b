"""The samples of a problem that run beside each other, each in a task of its own."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from typing import Any

from agent.lane.lane import Lane
from agent.types import Sample, SampleEnd


class RunningLanes:
    """Starts lanes, waits for them and hands over what they give, in the order of their start."""

    def __init__(self) -> None:
        self._lanes: dict[asyncio.Task[Sample], Lane] = {}
        self._wake = asyncio.Event()  # a lane has ended, or the time to wait is over

    def __len__(self) -> int:
        """Lanes whose samples have not been handed over yet."""
        return len(self._lanes)

    def start(self, lane: Lane, work: Coroutine[Any, Any, Sample]) -> None:
        """Start the `work` of a lane: `Lane.run` or `Lane.force_answer`."""
        task = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._wake.set())
        self._lanes[task] = lane

    async def wait(self, seconds: float = math.inf) -> None:
        """Wait until a lane has ended, at most so long. One callback a lane costs less than `asyncio.wait`'s anew."""
        timer = None
        if seconds < math.inf:
            timer = asyncio.get_running_loop().call_later(seconds, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            if timer is not None:
                timer.cancel()
        self._wake.clear()

    async def wait_for_all(self, seconds: float) -> None:
        """Wait until all of them have ended, at most so long."""
        await asyncio.wait(self._lanes, timeout=seconds)

    def take_ended(self) -> list[tuple[Lane, Sample]]:
        """Hand over the lanes that have ended, with their samples."""
        ended = [(task, self._lanes.pop(task)) for task in list(self._lanes) if task.done()]
        return [(lane, _sample(task, lane)) for task, lane in ended]

    async def halt(self) -> tuple[list[Sample], list[Lane]]:
        """Cancel them, wait until they have ended, and hand them over: what finished all the same, and other lanes.

        None is handed over if this is cancelled itself: it may then be called again.
        """
        for task in self._lanes:
            task.cancel()
        if self._lanes:
            await asyncio.gather(*self._lanes, return_exceptions=True)
        lanes, self._lanes = self._lanes, {}
        finished = [task.result() for task in lanes if not task.cancelled()]
        return finished, [lane for task, lane in lanes.items() if task.cancelled()]


def _sample(task: asyncio.Task[Sample], lane: Lane) -> Sample:
    return lane.cut(SampleEnd.INTERNAL_ERROR, "cancelled from within") if task.cancelled() else task.result()
