"""How long a stream is waited for, in the queue and after its first token."""

from __future__ import annotations

import asyncio

import pytest

from agent.engine.patience import Patience, SilenceTimer
from tests.support.virtual_time import run_virtual


async def silence(timer: SilenceTimer) -> float:
    """The time at which a stream is given up, if nothing comes any more."""
    loop = asyncio.get_running_loop()
    with pytest.raises(TimeoutError, match="nothing came for"):
        await timer.within(loop.create_future())
    return loop.time()


async def says(timer: SilenceTimer, *times: float) -> None:
    loop = asyncio.get_running_loop()
    for time in times:
        await asyncio.sleep(time - loop.time())
        timer.event()


def test_a_stream_in_the_queue_waits_as_long_as_others_get_tokens() -> None:
    async def play() -> None:
        patience = Patience(10)
        waiting, served = patience.timer(), patience.timer()
        _, end = await asyncio.gather(says(served, 5, 14, 23, 32), silence(waiting))
        assert end == 42

    run_virtual(play())


def test_a_stream_that_has_begun_is_given_up_though_others_get_tokens() -> None:
    async def end_of_silent() -> float:
        patience = Patience(10)
        silent, served = patience.timer(), patience.timer()
        await says(silent, 1)
        talk = asyncio.create_task(says(served, 5, 8, 14))
        end = await silence(silent)
        await talk
        return end

    assert run_virtual(end_of_silent()) == 11


def test_where_no_stream_gets_anything_all_are_given_up() -> None:
    async def play() -> tuple[float, ...]:
        patience = Patience(10)
        first = patience.timer()
        await asyncio.sleep(4)
        return tuple(await asyncio.gather(silence(first), silence(patience.timer())))

    assert run_virtual(play()) == (10, 14)


def test_signs_of_life_count_in_the_queue_and_not_in_the_middle_of_a_reply() -> None:
    async def play() -> tuple[float, ...]:
        patience = Patience(10)
        waiting, silent = patience.timer(), patience.timer()
        await asyncio.sleep(2)
        silent.event()
        await asyncio.sleep(4)
        for timer in (waiting, silent):
            timer.sign_of_life()
        return tuple(await asyncio.gather(silence(waiting), silence(silent)))

    assert run_virtual(play()) == (16, 12)


def test_what_follows_the_end_of_a_reply_is_not_waited_for_long() -> None:
    async def play() -> float:
        timer = Patience(600).timer()
        await asyncio.sleep(5)
        timer.event(last=True)
        return await silence(timer)

    assert run_virtual(play()) == 15


def test_what_comes_in_time_is_given_on_and_a_cancelled_wait_stays_cancelled() -> None:
    async def late(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "it"

    async def play() -> None:
        timer = Patience(10).timer()
        assert await timer.within(late(9)) == "it"
        timer.event()
        with pytest.raises(TimeoutError, match=r"^$"):
            async with asyncio.timeout(3):
                await timer.within(late(9))
        with pytest.raises(ValueError, match="its own"):
            await timer.within(failing())

    async def failing() -> None:
        raise ValueError("its own")

    run_virtual(play())
