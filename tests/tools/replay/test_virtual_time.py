"""The loop of virtual time: what runs, in which order, and at which moment."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from agent.virtual_time import VirtualLoop, run_virtual


async def played(script: list[list[float]]) -> list[str]:
    """The order in which tasks wake that pause so often and so long."""
    seen: list[str] = []

    async def walk(name: int, pauses: list[float]) -> None:
        for number, pause in enumerate(pauses):
            await asyncio.sleep(pause)
            seen.append(f"{name}.{number}")

    async with asyncio.timeout(100):
        await asyncio.gather(*(walk(name, pauses) for name, pauses in enumerate(script)))
    return seen


def test_what_is_due_at_once_runs_in_the_order_of_a_real_loop() -> None:
    rng = random.Random(1)
    script = [[0.0] * rng.randrange(1, 6) for _ in range(9)]
    assert run_virtual(played(script)) == asyncio.run(played(script))


def test_timers_fire_in_the_order_of_their_moments_and_those_of_one_moment_as_they_were_set() -> None:
    assert run_virtual(played([[3.0], [1.0, 2.0], [1.0], [0.0, 1.0]])) == ["3.0", "1.0", "2.0", "3.1", "0.0", "1.1"]


def test_the_clock_jumps_to_the_next_timer_and_a_cancelled_one_is_nobodys_moment() -> None:
    async def main() -> tuple[float, list[str]]:
        loop, called = asyncio.get_running_loop(), list[str]()
        put: Callable[[str], None] = called.append
        loop.call_later(5, put, "cancelled").cancel()
        loop.call_soon(put, "also cancelled").cancel()
        loop.call_at(1e6, put, "late")
        await asyncio.sleep(1e6)
        return loop.time(), called

    assert run_virtual(main()) == (1e6, ["late"])


def test_a_loop_in_which_nothing_will_ever_happen_says_so() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="hang for ever"), asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main())
