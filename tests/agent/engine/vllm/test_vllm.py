"""Our own vLLM server as a process that dies, hangs and is started again, by a stand-in."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import aclosing
from pathlib import Path

import pytest

from agent.config import EngineConfig, VllmConfig
from agent.engine.base import SamplingParams
from agent.engine.vllm.command import launch_settings, server_command
from agent.engine.vllm.server import VllmEngine
from agent.errors import EngineError, JournalError
from agent.events import Event
from agent.lane.lane import Lane
from agent.types import Sample, SampleEnd
from tests.support.doubles import PROBLEM, Recorder, ScriptedSandbox, config_with, runtime
from tests.support.servers.vllm_doubles import FakeVllm, fake_vllm, plan

pytestmark = pytest.mark.process

LONG = "So π is né 3.14159 and 中文 too. " * 8 + "Thus \\boxed{42}."
WITH_CODE = "Let us see.\n```python\nprint(6 * 7)\n```\n```output\n42\n```\nIt is \\boxed{42}."
PARAMS = SamplingParams(max_tokens=500)
PROGRESS = 18  # tokens after which a lane counts as having got on


async def read(engine: VllmEngine) -> str:
    text = ""
    async with aclosing(engine.stream("go on", PARAMS)) as chunks:
        async for chunk in chunks:
            text += chunk.text
    return text


async def run_lane(fake: FakeVllm, emit: Recorder | None = None, **keys: object) -> Sample:
    config = config_with(**{"sample__max_tokens": 1_000, **keys})
    await fake.engine.ready()
    setting = runtime(fake.engine, config, sandbox=ScriptedSandbox(), emit=emit)
    return await Lane(PROBLEM, "PROMPT", 0, setting).run()


class Striker(Recorder):
    """Gives the server a signal each time that its lane has got on, so many times."""

    def __init__(self, fake: FakeVllm, blow: int, times: int) -> None:
        super().__init__()
        self._fake, self._blow, self._left = fake, blow, times
        self._goal = PROGRESS

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        if self._left and self.tokens >= self._goal:
            os.kill(self._fake.server, self._blow)
            self._left, self._goal = self._left - 1, self.tokens + PROGRESS


async def struck(fake: FakeVllm, blow: int, times: int = 1, **keys: object) -> Sample:
    """A lane whose server gets a signal in mid-stream, so many times."""
    return await run_lane(fake, Striker(fake, blow, times), **keys)


async def test_ready_means_that_a_token_was_completed(tmp_path: Path) -> None:
    async with fake_vllm(tmp_path, reply=LONG) as fake:
        await asyncio.gather(fake.engine.ready(), fake.engine.ready())
        assert [entry["body"]["max_tokens"] for entry in fake.log if "body" in entry] == [1]
        assert await read(fake.engine) == LONG
        assert fake.events[-1].startswith("the vLLM server is up after")
        assert fake.engine.started is not None
        assert list(fake.engine.started.parts) == ["server", "first token"]  # the stand-in's log tells no others
        assert min(fake.engine.started.parts.values()) >= 0
    assert not fake.alive()
    with pytest.raises(EngineError, match="closed"):
        await fake.engine.ready()


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
async def test_a_lane_resumes_from_its_tokens_when_the_server_dies_or_hangs(tmp_path: Path, blow: int) -> None:
    async with fake_vllm(tmp_path, reply=LONG, pause=0.02, hang_seconds=3.0) as fake:
        sample = await struck(fake, blow)
        assert (sample.text, sample.answer, sample.end) == (LONG, 42, SampleEnd.ANSWERED)
        resumed = [entry for entry in fake.log if "body" in entry][-1]
        assert resumed["ids"] and resumed["prompt"].startswith("PROMPTSo π")
        (turn,) = sample.turns
        assert 0 < turn.resumed_at[0] < turn.tokens
        words = ("hangs",) if blow == signal.SIGSTOP else ("died", "is unhealthy")
        assert sum(any(word in event for word in words) for event in fake.events) == 1
    assert not fake.alive()


@pytest.mark.long
async def test_killed_more_often_than_a_stream_is_retried_without_progress(tmp_path: Path) -> None:
    async with fake_vllm(tmp_path, reply=LONG, pause=0.01) as fake:
        sample = await struck(fake, signal.SIGKILL, times=3, engine__retries=1)
        assert (sample.text, len(sample.turns[0].resumed_at)) == (LONG, 3)
    assert not fake.alive()


async def test_a_server_that_falls_silent_is_replaced_in_seconds(tmp_path: Path) -> None:
    async with fake_vllm(tmp_path, reply=LONG, hang_seconds=2.0, starts=["serve 1", "serve"]) as fake:
        assert (await run_lane(fake)).text == LONG
        assert [event for event in fake.events if "hangs: 1 streams without a token" in event]
        assert len(fake.starts) == 2
    assert not fake.alive()


async def test_a_tool_run_goes_back_as_ids_even_if_a_token_crosses_the_fence(tmp_path: Path) -> None:
    async with fake_vllm(tmp_path, reply=WITH_CODE) as fake:
        sample = await run_lane(fake)
        assert (sample.text, sample.answer) == (WITH_CODE, 42)
        asked = [entry for entry in fake.log if "body" in entry]
        assert [entry["ids"] for entry in asked] == [False, False, True]
        assert asked[2]["prompt"] == "PROMPT" + WITH_CODE[: WITH_CODE.index("It is")]
        assert sample.turns[1].prompt_tokens is not None and sample.turns[1].cached_tokens == 7
        assert sample.mean_logprob == sample.tail_logprob == -0.5


async def test_short_of_memory_it_is_started_smaller_down_to_the_last_resort(tmp_path: Path) -> None:
    async with fake_vllm(tmp_path, reply=LONG, starts=["oom", "oom", "serve"]) as fake:
        await fake.engine.ready()
        sequences = [flags[flags.index("--max-num-seqs") + 1] for flags in fake.starts]
        assert sequences == ["16", "8", "4"]
        assert ["--enforce-eager" in flags for flags in fake.starts] == [False, False, True]
        assert any("the last resort" in event for event in fake.events)


@pytest.mark.long
async def test_a_server_that_does_not_live_long_is_started_smaller(tmp_path: Path) -> None:
    async with fake_vllm(tmp_path, reply=LONG) as fake:
        for _ in range(3):
            await fake.engine.ready()
            os.kill(fake.server, signal.SIGKILL)
            await asyncio.sleep(0.5)
        sequences = [flags[flags.index("--max-num-seqs") + 1] for flags in fake.starts]
        assert sequences == ["16", "16", "8"]


async def test_a_server_that_cannot_start_is_reported_once_with_its_reason(tmp_path: Path) -> None:
    async with fake_vllm(tmp_path, reply=LONG, starts=["crash"]) as fake:
        for _ in range(2):
            with pytest.raises(EngineError, match="the model has no layers"):
                await fake.engine.ready()
        assert len(fake.starts) == 1
    assert not fake.alive()


async def test_a_server_that_never_serves_is_given_up(tmp_path: Path) -> None:
    async with fake_vllm(tmp_path, reply=LONG, starts=["deaf"], start_seconds=1.5) as fake:
        with pytest.raises(EngineError, match=r"was not up after 1\.5 s"):
            await fake.engine.ready()
        assert not fake.alive()


async def test_no_interpreter_is_reported(tmp_path: Path) -> None:
    engine = VllmEngine(
        EngineConfig(model="m"), VllmConfig(python="/nowhere"), log_path=tmp_path / "log", on_event=lambda text: None
    )
    with pytest.raises(EngineError, match="/nowhere"):
        await engine.ready()
    await engine.close()


async def test_an_interpreter_without_vllm_is_reported(tmp_path: Path) -> None:
    settings = VllmConfig(python=sys.executable)
    engine = VllmEngine(EngineConfig(model="m"), settings, log_path=tmp_path / "log", on_event=lambda text: None)
    with pytest.raises(EngineError, match=r"has no vLLM: pip install 'aimo-agent\[vllm\]', or set vllm\.python"):
        await engine.ready()
    await engine.close()


@pytest.mark.long
async def test_lanes_waiting_for_their_turn_do_not_count_as_stalled(tmp_path: Path) -> None:
    """The server works on one stream; the others are silent for longer than a hang."""
    async with fake_vllm(tmp_path, reply=LONG, pause=0.06, hang_seconds=3.0, at_a_time=1) as fake:
        await fake.engine.ready()
        setting = runtime(fake.engine, config_with(sample__max_tokens=1_000), sandbox=ScriptedSandbox())
        samples = await asyncio.gather(*(Lane(PROBLEM, "PROMPT", n, setting).run() for n in range(3)))
        assert [(sample.text, sample.turns[0].resumed_at) for sample in samples] == [(LONG, ())] * 3
        assert len(fake.starts) == 1


async def test_a_full_disk_does_not_keep_a_hanging_server_alive(tmp_path: Path) -> None:
    async with fake_vllm(tmp_path, reply=LONG, hang_seconds=0.5, starts=["serve 1"]) as fake:
        await fake.engine.ready()

        def full(text: str) -> None:
            raise JournalError("the disk is full")

        fake.engine._on_event = full
        with pytest.raises(EngineError, match="broke"):
            await read(fake.engine)
        await asyncio.wait_for(fake.engine._server.process.wait(), 20)  # type: ignore[union-attr]
        assert not fake.alive()


_AGENT = """
import asyncio, sys
from pathlib import Path
from agent.config import EngineConfig, VllmConfig
from agent.engine.vllm.server import VllmEngine
async def main():
    engine = VllmEngine(EngineConfig(model="m"), VllmConfig(), log_path=Path("log"), on_event=lambda text: None)
    await engine.ready()
    print("ready", flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_however_the_agent_ends(tmp_path: Path, blow: int) -> None:
    environment = {**os.environ, **plan(tmp_path, reply=LONG)}
    agent = subprocess.Popen(
        [sys.executable, "-c", _AGENT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=tmp_path, env=environment
    )
    assert agent.stdout is not None and agent.stdout.readline() == b"ready\n"
    fake = FakeVllm(None, tmp_path)  # type: ignore[arg-type]
    assert len(fake.alive()) == 3
    agent.send_signal(blow)
    agent.communicate()
    deadline = time.monotonic() + 30
    while fake.alive():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_command_holds_the_profile() -> None:
    engine = EngineConfig(kind="vllm", model="/models/qwq", context_tokens=12_288)
    settings = VllmConfig(tensor_parallel_size=4, quantization="awq", extra_args=("--swap-space", "0"))
    command = server_command(engine, settings, 8_123)
    flags = dict(zip(command[3::2], command[4::2], strict=False))
    assert flags["--model"] == "/models/qwq" and flags["--max-model-len"] == "12288"
    assert flags["--tensor-parallel-size"] == "4" and flags["--quantization"] == "awq"
    assert command[-2:] == ["--swap-space", "0"]
    assert "--gpu-memory-utilization" not in server_command(engine, VllmConfig(gpu="cpu"), 1)


def test_each_step_needs_less_than_the_one_before() -> None:
    ways = [launch.settings for launch in launch_settings(VllmConfig(max_num_seqs=3, gpu_memory_utilization=0.6))]
    assert [way.max_num_seqs for way in ways] == [3, 1, 1]
    assert [way.gpu_memory_utilization for way in ways] == pytest.approx([0.6, 0.52, 0.5])
