"""The engine that plays recorded samples on simulated hardware."""

from __future__ import annotations

import asyncio
import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.base import SamplingParams
from agent.engine.recorded import BatchDecoder, RecordedEngine, RecordedLane, RecordedTurn
from agent.hardware.roofline import HARDWARE, Hardware, steps_within
from agent.virtual_time import run_virtual
from tests.support.tiers.cases import examples

FACTS = Path(__file__).parents[3].parent / "shared" / "facts" / "qwq.md"
SLOW = Hardware("slow", weight_bytes=10.0, cache_bytes=1.0, bandwidth=10.0, flops=math.inf)
CONSTANT = HARDWARE["constant"]


def lane(tokens: int, text: str = "\\boxed{7}", finish: str = "stop") -> RecordedLane:
    return RecordedLane((RecordedTurn(text, tokens, finish),))


@pytest.mark.parametrize(("lanes", "together"), [(1, 13), (2, 20), (8, 20)])
def test_lanes_on_two_cores_share_their_arithmetic(lanes: int, together: float) -> None:
    assert lanes / HARDWARE["two-cores"].step_seconds(lanes, 0)[0] == pytest.approx(together)


def stepped(hardware: Hardware, tokens: list[int]) -> list[float]:
    """When each lane ends, by stepping token after token."""
    now, ends = 0.0, dict[int, float]()
    for step in range(max(tokens)):
        running = [n for n, count in enumerate(tokens) if count > step]
        now += hardware.step_seconds(len(running), len(running) * step)[0]
        ends |= {n: now for n in running if tokens[n] == step + 1}
    return [ends[n] for n in range(len(tokens))]


def played(hardware: Hardware, tokens: list[int]) -> list[float]:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        decoder = BatchDecoder(hardware, loop)

        async def one(count: int) -> float:
            await decoder.start(count, 0).done
            return loop.time()

        return await asyncio.gather(*(one(count) for count in tokens))

    return run_virtual(main())


@examples(60)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=8))
def test_lanes_end_when_stepping_token_by_token_says_so(tokens: list[int]) -> None:
    # When stepping, a step costs what it does at its start; the closed form lets the contexts grow within it.
    grown = sum(tokens) * SLOW.cache_bytes / SLOW.bandwidth / 2
    for ours, reference in zip(played(SLOW, tokens), stepped(SLOW, tokens), strict=True):
        assert reference - 1e-6 <= ours <= reference + grown + 1e-6


def test_lanes_speed_up_as_others_end() -> None:
    alone, beside = played(SLOW, [100])[0], played(SLOW, [100, 50])[0]
    whole = played(SLOW, [100, 100])[0]
    assert alone < beside < whole


def test_at_constant_speed_lanes_do_not_feel_each_other() -> None:
    assert played(CONSTANT, [30, 60, 300]) == pytest.approx([1, 2, 10])


def test_a_cut_lane_hands_over_its_tokens_and_frees_the_hardware() -> None:
    engine = RecordedEngine({0: lane(100), 10: lane(100)}, SLOW)

    async def read(seed: int) -> tuple[int, str]:
        tokens, text = 0, ""
        try:
            async for chunk in engine.stream("", SamplingParams(max_tokens=10**6, seed=seed)):
                tokens, text = tokens + chunk.tokens, text + chunk.text
        except asyncio.CancelledError:
            return tokens, "cut"
        return tokens, text

    async def main() -> tuple[tuple[int, str], tuple[int, str], float]:
        loop = asyncio.get_running_loop()
        first, second = asyncio.create_task(read(0)), asyncio.create_task(read(10))
        await asyncio.sleep(20)
        first.cancel()
        outcome = await first
        return outcome, await second, loop.time()

    cut, rest, when = run_virtual(main())
    assert cut[1] == "cut"
    assert 0 < cut[0] < 20
    assert rest == (100, "\\boxed{7}")
    assert played(SLOW, [100])[0] < when < played(SLOW, [100, 100])[0]


def test_a_limit_below_the_recorded_length_ends_the_lane_without_its_answer() -> None:
    engine = RecordedEngine({0: lane(100)}, CONSTANT)

    async def main() -> list[tuple[str, int, str | None]]:
        chunks = engine.stream("", SamplingParams(max_tokens=60, seed=0))
        return [(chunk.text, chunk.tokens, chunk.finish) async for chunk in chunks]

    assert run_virtual(main()) == [("", 60, "length")]


def test_turns_are_found_by_the_seed_of_their_request() -> None:
    recorded = RecordedLane((RecordedTurn("a", 1, None), RecordedTurn("b", 2, "stop")))
    engine = RecordedEngine({5: recorded}, CONSTANT)

    async def text(seed: int) -> str:
        return "".join([chunk.text async for chunk in engine.stream("", SamplingParams(max_tokens=9, seed=seed))])

    async def main() -> list[str]:
        return [await text(5), await text(6), await text(7)]

    assert run_virtual(main()) == ["a", "b", ""]


@pytest.mark.parametrize(("played_tokens", "answer"), [(89, ""), (90, "7}")])
def test_a_lane_that_is_asked_answers_only_as_late_as_is_assumed(played_tokens: int, answer: str) -> None:
    recorded = RecordedLane((RecordedTurn("\\boxed{7}", 100, "stop"),), forced="7}", forced_after=90)
    engine = RecordedEngine({5: recorded}, CONSTANT)

    async def main() -> str:
        async for _ in engine.stream("", SamplingParams(max_tokens=played_tokens, seed=5)):
            pass
        asked = engine.stream("", SamplingParams(max_tokens=24, seed=5, forces_answer=True))
        return "".join([chunk.text async for chunk in asked])

    assert run_virtual(main()) == answer


@given(st.floats(1e-3, 10), st.floats(0, 1), st.floats(0, 1e4))
def test_steps_within_is_the_inverse_of_the_time_that_steps_take(first: float, growth: float, seconds: float) -> None:
    steps = steps_within(seconds, first, growth)
    assert first * steps + growth * steps**2 / 2 == pytest.approx(seconds, rel=1e-6, abs=1e-6)


@pytest.mark.skipif(not FACTS.is_file(), reason="the table of roofline speeds is not here")
def test_the_speeds_are_those_of_the_table() -> None:
    named = {
        "4xL4 fp8/fp8": "kaggle-l4x4-fp8",
        "4xL4 int4/bf16": "kaggle-l4x4-bf16kv",
        "4xL4 int4/fp8": "kaggle-l4x4",
        "H100 int4/fp8": "kaggle-h100-int4",
    }
    rows = dict(re.findall(r"^\| ([^|]+?) \|(.*)\|$", FACTS.read_text(encoding="utf-8"), re.MULTILINE))
    for row, name in named.items():
        for lanes, cell in zip((1, 4, 8, 16, 32), rows[row].split("|"), strict=False):
            if cell.strip() != "-":
                hardware = HARDWARE[name]
                seconds, _ = hardware.step_seconds(lanes, lanes * 8_192)
                assert lanes / (seconds * hardware.efficiency) == pytest.approx(float(cell), rel=0.02), (row, lanes)
