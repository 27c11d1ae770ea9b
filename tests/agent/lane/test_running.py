"""Lanes that run beside each other: when they are waited for, and that each is handed over once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from agent.lane.lane import Lane
from agent.lane.running import RunningLanes
from agent.types import Sample, SampleEnd
from tests.support.doubles import PROBLEM, runtime
from tests.support.lanes import always
from tests.support.samples import sample
from tests.support.virtual_time import run_virtual


def started(seconds: Sequence[float]) -> RunningLanes:
    """Lanes that take so many seconds each; the sample of the nth has the index n."""
    running, setting = RunningLanes(), runtime(always(""))

    async def work(index: int, length: float) -> Sample:
        await asyncio.sleep(length)
        return sample(None, index=index)

    for index, length in enumerate(seconds):
        running.start(Lane(PROBLEM, "PROMPT", index, setting), work(index, length))
    return running


@given(st.lists(st.integers(1, 9), max_size=8))
def test_each_lane_is_handed_over_once_when_it_ends_in_the_order_of_their_start(seconds: list[int]) -> None:
    async def main() -> list[tuple[float, int]]:
        loop, running, taken = asyncio.get_running_loop(), started(seconds), []
        while running:
            await running.wait()
            taken += [(loop.time(), ended.index) for _, ended in running.take_ended()]
        return taken

    assert run_virtual(main()) == sorted((float(length), index) for index, length in enumerate(seconds))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.floats(0.5, 10))
def test_a_wait_is_over_at_its_limit_or_when_a_lane_has_ended(seconds: list[int], limit: float) -> None:
    async def main() -> float:
        running = started(seconds)
        await running.wait(limit)
        moment = asyncio.get_running_loop().time()
        await running.halt()
        return moment

    assert run_virtual(main()) == min(limit, *seconds)


@given(st.lists(st.integers(1, 9), max_size=8), st.integers(0, 10))
def test_lanes_that_are_halted_are_those_that_had_not_ended(seconds: list[int], moment: int) -> None:
    async def main() -> tuple[list[int], int, int]:
        running = started(seconds)
        await asyncio.sleep(moment + 0.5)
        finished, unfinished = await running.halt()
        return [ended.index for ended in finished], len(unfinished), len(running)

    done = [index for index, length in enumerate(seconds) if length <= moment]
    assert run_virtual(main()) == (done, len(seconds) - len(done), 0)


def test_a_halt_that_is_cancelled_hands_nothing_over_and_can_be_repeated() -> None:
    async def main() -> tuple[int, int]:
        running = started([1, 5, 9])

        async def slowly() -> Sample:
            try:
                await asyncio.sleep(20)
            finally:
                await asyncio.sleep(3)
            return sample(None)

        running.start(Lane(PROBLEM, "PROMPT", 3, runtime(always(""))), slowly())
        await asyncio.sleep(2)
        halting = asyncio.create_task(running.halt())
        await asyncio.sleep(1)
        halting.cancel()
        await asyncio.gather(halting, return_exceptions=True)
        kept = len(running)
        finished, unfinished = await running.halt()
        return kept, len(finished) + 10 * len(unfinished)

    assert run_virtual(main()) == (4, 31)


def test_a_lane_that_is_cancelled_from_within_is_handed_over_as_lost() -> None:
    async def main() -> list[SampleEnd]:
        running = RunningLanes()

        async def cancelled() -> Sample:
            raise asyncio.CancelledError

        running.start(Lane(PROBLEM, "PROMPT", 0, runtime(always(""))), cancelled())
        await running.wait()
        return [ended.end for _, ended in running.take_ended()]

    assert run_virtual(main()) == [SampleEnd.INTERNAL_ERROR]
