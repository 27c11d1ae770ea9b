"""Lanes against a server that breaks, stalls and refuses: no token is lost or doubled."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from agent.engine.http import HttpEngine
from agent.lane.lane import Lane
from agent.types import Sample, SampleEnd
from tests.support.doubles import PROBLEM, ScriptedSandbox, config_with, runtime
from tests.support.servers.faults import Fault, faulty
from tests.support.servers.vllm_doubles import fake_vllm

pytestmark = pytest.mark.process

REPLY = (
    "Let us see: π² and 中文.\n```python\nprint(6 * 7)\n```\n```output\n42\n```\n"
    + "Some more words, né. " * 12
    + "So it is \\boxed{42}."
)


async def lanes_through(folder: Path, faults: list[Fault], *, lanes: int = 1, retries: int = 3) -> list[Sample]:
    """Samples drawn through the faults from a server that speaks vLLM's wire."""
    async with fake_vllm(folder, reply=REPLY) as fake:
        await fake.engine.ready()
        async with faulty(f"http://127.0.0.1:{fake.port}", faults) as (url, proxy):
            engine = HttpEngine(f"{url}/v1", model="model", stall_seconds=0.5)
            await engine.ready()
            config = config_with(sample__max_tokens=1_000, engine__retries=retries)
            setting = runtime(engine, config, sandbox=ScriptedSandbox())
            samples = await asyncio.gather(*(Lane(PROBLEM, "PROMPT", n, setting).run() for n in range(lanes)))
            await engine.close()
            assert len(proxy.met) >= len(faults)
            return samples


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NONE])
async def test_a_lane_gets_over_each_fault_without_a_token_lost_or_doubled(tmp_path: Path, fault: Fault) -> None:
    [sample] = await lanes_through(tmp_path, [fault])
    assert (sample.text, sample.answer, sample.end) == (REPLY, 42, SampleEnd.ANSWERED)
    assert bool(sample.turns[0].resumed_at) is (fault is not Fault.SLOW)


@pytest.mark.long
async def test_many_lanes_get_over_many_faults_of_all_kinds(tmp_path: Path) -> None:
    rng = random.Random(7)
    kinds = [fault for fault in Fault if fault is not Fault.SILENCE]
    samples = await lanes_through(tmp_path, rng.choices(kinds, k=16), lanes=8, retries=20)
    assert [(sample.text, sample.answer) for sample in samples] == [(REPLY, 42)] * 8
    assert sum(len(turn.resumed_at) for sample in samples for turn in sample.turns) > 4


async def test_a_server_that_only_fails_ends_the_lane_and_no_more(tmp_path: Path) -> None:
    [sample] = await lanes_through(tmp_path, [Fault.REFUSED] * 3, retries=2)
    assert (sample.end, sample.answer) == (SampleEnd.ENGINE_ERROR, None)
