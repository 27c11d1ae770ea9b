"""How long a stream is waited for, in the queue and after its first token."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.stall import StallDetector, StreamWatch
from tests.support.virtual_time import run_virtual


async def silence(watch: StreamWatch) -> float:
    """The time at which a watch gives up, if nothing comes any more."""
    loop = asyncio.get_running_loop()
    with pytest.raises(TimeoutError, match="nothing came for"):
        await watch.within(loop.create_future())
    return loop.time()


async def says(watch: StreamWatch, *times: float) -> None:
    loop = asyncio.get_running_loop()
    for time in times:
        await asyncio.sleep(time - loop.time())
        watch.event()


def test_a_stream_in_the_queue_waits_as_long_as_others_get_tokens() -> None:
    async def play() -> None:
        detector = StallDetector(10)
        waiting, served = detector.watch(), detector.watch()
        _, end = await asyncio.gather(says(served, 5, 14, 23, 32), silence(waiting))
        assert end == 42

    run_virtual(play())


def test_a_stream_that_has_begun_is_given_up_though_others_get_tokens() -> None:
    async def end_of_silent() -> float:
        detector = StallDetector(10)
        silent, served = detector.watch(), detector.watch()
        await says(silent, 1)
        talk = asyncio.create_task(says(served, 5, 8, 14))
        end = await silence(silent)
        await talk
        return end

    assert run_virtual(end_of_silent()) == 11


def test_where_no_stream_gets_anything_all_are_given_up() -> None:
    async def play() -> tuple[float, ...]:
        detector = StallDetector(10)
        first = detector.watch()
        await asyncio.sleep(4)
        return tuple(await asyncio.gather(silence(first), silence(detector.watch())))

    assert run_virtual(play()) == (10, 14)


def test_signs_of_life_count_in_the_queue_and_not_in_the_middle_of_a_reply() -> None:
    async def play() -> tuple[float, ...]:
        detector = StallDetector(10)
        waiting, silent = detector.watch(), detector.watch()
        await asyncio.sleep(2)
        silent.event()
        await asyncio.sleep(4)
        for watch in (waiting, silent):
            watch.keep_alive()
        return tuple(await asyncio.gather(silence(waiting), silence(silent)))

    assert run_virtual(play()) == (16, 12)


def test_what_follows_the_end_of_a_reply_is_not_waited_for_long() -> None:
    async def play() -> float:
        watch = StallDetector(600).watch()
        await asyncio.sleep(5)
        watch.event(last=True)
        return await silence(watch)

    assert run_virtual(play()) == 15


def test_what_comes_in_time_is_given_on_and_a_cancelled_wait_stays_cancelled() -> None:
    async def late(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "it"

    async def play() -> None:
        watch = StallDetector(10).watch()
        assert await watch.within(late(9)) == "it"
        watch.event()
        with pytest.raises(TimeoutError, match=r"^$"):
            async with asyncio.timeout(3):
                await watch.within(late(9))
        with pytest.raises(ValueError, match="its own"):
            await watch.within(failing())

    async def failing() -> None:
        raise ValueError("its own")

    run_virtual(play())


def test_a_stream_that_is_over_leaves_no_alarm_however_often_it_was_waited_for() -> None:
    async def timers(end: bool) -> int:
        watch = StallDetector(10).watch()
        for _ in range(50):
            assert await watch.within(asyncio.sleep(0, "it")) == "it"
            watch.event()
        if end:
            watch.end()
        loop = asyncio.get_running_loop()
        return sum(not handle.cancelled() for handle in loop._scheduled)  # type: ignore[attr-defined]

    assert (asyncio.run(timers(end=False)), asyncio.run(timers(end=True))) == (1, 0)


@given(st.lists(st.tuples(st.floats(0.1, 9.9), st.booleans()), max_size=12), st.booleans())
def test_a_silence_ends_a_wait_at_the_deadline_whatever_was_before_it(
    before: list[tuple[float, bool]], ends: bool
) -> None:
    """Some of the time passes in waits and some between them; the last event of a reply brings an earlier deadline."""

    async def play() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        watch = StallDetector(10 if not ends else 600).watch()
        for seconds, waits in before:
            await (watch.within(asyncio.sleep(seconds)) if waits else asyncio.sleep(seconds))
            watch.event()
        if ends:
            watch.event(last=True)
        last = loop.time()
        await asyncio.sleep(4)
        return await silence(watch), last

    end, last = run_virtual(play())
    assert end == pytest.approx(last + 10)
