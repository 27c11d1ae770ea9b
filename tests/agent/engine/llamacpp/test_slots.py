"""Which slot of the embedded server a stream gets."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.llamacpp.slots import SlotPool

SYSTEM = "You solve. "


async def test_a_stream_is_given_the_slot_that_knows_most_of_its_prompt() -> None:
    pool = SlotPool(3)
    for text in (SYSTEM + "Problem A", SYSTEM + "Problem B", "Other"):
        pool.give(await pool.take(text), text)
    held = {await pool.take(SYSTEM + "Problem B?"), await pool.take("Other?"), await pool.take(SYSTEM + "Problem A?")}
    assert held == {0, 1, 2}
    pool.give(2, "Other")
    pool.give(0, SYSTEM + "Problem A")
    assert await pool.take(SYSTEM + "Problem A") == 0


async def test_a_lane_comes_back_to_its_slot_among_others_of_its_problem() -> None:
    pool = SlotPool(3)
    lanes = {await pool.take("Problem"): code for code in (" x = 1", " y = 2", " z = 3")}
    for slot, code in lanes.items():
        pool.give(slot, "Problem" + code + "```", lane="Problem")
    for slot, code in reversed(lanes.items()):
        assert await pool.take("Problem" + code + " output") == slot


async def test_a_kept_slot_is_left_alone_as_long_as_there_is_another() -> None:
    pool = SlotPool(2)
    kept = await pool.take("Problem A")
    pool.give(kept, "Problem A and code", lane="Problem A")
    assert pool.take_unkept() == [1 - kept]
    pool.give(1 - kept, "Problem B")
    assert await pool.take("Problem A2"[:8] + "C") == 1 - kept
    assert await pool.take("Problem C") == kept, "rather than to wait"


async def test_what_was_kept_for_a_prompt_is_free_once_nothing_continues_it() -> None:
    pool = SlotPool(2)
    slots = {problem: await pool.take(problem) for problem in ("Problem A", "Problem B")}
    for problem, slot in slots.items():
        pool.give(slot, problem + " and code", lane=problem)
    assert pool.take_unkept() == []
    pool.release("Problem A")
    assert pool.take_unkept() == [slots["Problem A"]]


async def test_no_more_streams_than_allowed_run_at_a_time_whatever_the_number_of_slots() -> None:
    pool = SlotPool(4, streams=2)
    first, second = await pool.take("a"), await pool.take("b")
    waiting = [asyncio.create_task(pool.take(prompt)) for prompt in "cd"]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    pool.give(first, "a and code", lane="a")
    third = await waiting[0]
    assert third not in (first, second), "the slot of a lane that runs its code is kept"
    await asyncio.sleep(0)
    assert not waiting[1].done()
    pool.give(second, "b")
    assert await waiting[1] not in (first, third)


@pytest.mark.parametrize("streams", [None, 3, 9])
async def test_all_slots_may_be_given_where_the_streams_allow_it(streams: int | None) -> None:
    pool = SlotPool(3, streams)
    assert {await pool.take(text) for text in "abc"} == {0, 1, 2}


async def test_those_that_wait_are_served_as_slots_come_free() -> None:
    pool = SlotPool(1)
    slot = await pool.take("a")
    waiting = [asyncio.create_task(pool.take(prompt)) for prompt in "bc"]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    pool.give(slot, "a")
    assert await waiting[0] == slot
    assert not waiting[1].done()
    waiting[1].cancel()
    pool.give(slot, "b")
    assert await pool.take("d") == slot


@given(st.lists(st.tuples(st.sampled_from(["take", "end", "close", "share", "release"]), st.text("ab", max_size=4))))
def test_no_slot_is_lost_or_given_twice(steps: list[tuple[str, str]]) -> None:
    async def play() -> None:
        pool, busy = SlotPool(3), dict[int, str]()
        for step, text in steps:
            if step == "take" and len(busy) < 3:
                slot = await pool.take(text)
                assert slot not in busy
                busy[slot] = text
            elif step == "share":
                for slot in pool.take_unkept():
                    assert slot not in busy
                    pool.give(slot, text)
            elif step == "release":
                pool.release(text)
            elif busy:
                slot, start = busy.popitem()
                pool.give(slot, start + text, lane=start if step == "close" else None)
        for slot, start in busy.items():
            pool.give(slot, start)
        assert {await pool.take("") for _ in range(3)} == {0, 1, 2}

    asyncio.run(play())
