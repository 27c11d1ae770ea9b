"""Problems solved on the real vLLM whatever it limits: outputs longer than its context, a restart that takes long."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil

from agent.config import Config, load_config
from agent.engine.persistent import PersistentEngine
from agent.engine.process import free_port
from agent.engine.vllm.server import VllmEngine
from agent.events import Event
from agent.lane.runtime import Runtime
from agent.problems.reader import starter_problems
from agent.solver import solve_problem
from agent.types import Allowance, Solution, ToolRun, ToolStatus
from tests.support.doubles import Recorder, ScriptedSandbox
from tests.support.servers.vllm_installed import PYTHON, QUIET, ROOT, hf_model, needs_vllm

pytestmark = needs_vllm

CONTEXT = 1_400
RESTART_SECONDS = 20  # that a second start takes beside the server's own time


class EndlessDigits(ScriptedSandbox):
    """Whatever is run prints far more tokens than the context holds, each digit, comma and space being one."""

    async def session(self, seed: int | None = None) -> EndlessDigits:
        return self

    async def run(self, code: str, timeout: float | None = None) -> ToolRun:  # noqa: ASYNC109
        return ToolRun(code, ", ".join(map(str, range(2_000))), ToolStatus.OK, 0.0)

    async def close(self) -> None:
        pass


def settings_of(**keys: object) -> Config:
    plain: dict[str, object] = {
        "engine.model": str(hf_model("qwen2.5-coder-0.5b")),
        "engine.context_tokens": CONTEXT,
        "vllm.python": str(PYTHON),
        "sample.count": 4,
        "sample.max_tokens": 300,
        "stopping.rule": "wait-for-all",
    }
    return load_config("vllm-cpu", plain | keys)


def open_vllm(config: Config, folder: Path, events: list[str]) -> PersistentEngine:
    vllm = config.vllm.model_copy(update={"environment": {**config.vllm.environment, **QUIET, "PYTHONPATH": str(ROOT)}})
    return PersistentEngine(
        VllmEngine(config.engine, vllm, log_path=folder / "engine.log", on_event=events.append), on_event=events.append
    )


async def solved(config: Config, engine: PersistentEngine, recorder: Recorder) -> Solution:
    clock = asyncio.get_running_loop().time
    runtime = Runtime(config, engine, EndlessDigits(), recorder, clock)
    return await solve_problem(starter_problems()[0], runtime, Allowance(500, 480))


async def test_outputs_longer_than_the_context_and_a_slow_restart_cost_no_lane(tmp_path: Path) -> None:
    """The server is killed in the second problem.

    Its Python then starts only after a while, as with weights that are read from a slow disk.
    """
    slow, started = tmp_path / "python", tmp_path / "started"
    slow.write_text(f'#!/bin/sh\n[ -e {started} ] && sleep {RESTART_SECONDS}\ntouch {started}\nexec {PYTHON} "$@"\n')
    slow.chmod(0o755)
    port, events = free_port(), list[str]()
    config = settings_of(**{"vllm.python": str(slow), "engine.port": port})
    engine = open_vllm(config, tmp_path, events)
    calm, struck = Recorder(), FirstTokens()
    try:
        await engine.start()
        solutions = [await solved(config, engine, calm)]
        solving = asyncio.create_task(solved(config, engine, struck))
        await struck.came.wait()
        kill_server(port)
        solutions.append(await solving)
    finally:
        await engine.close()
    samples = [*calm.samples, *struck.samples]
    assert all(solution.answer is not None for solution in solutions) and len(samples) == 8
    assert not [sample.failure for sample in samples if sample.failure]
    assert any("[... cut to fit the context ...]" in sample.text for sample in samples)
    assert engine.downtime > RESTART_SECONDS
    assert sum("is up after" in event for event in events) == 2


class FirstTokens(Recorder):
    """Says when some tokens have come."""

    def __init__(self) -> None:
        super().__init__()
        self.came = asyncio.Event()

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        if self.tokens > 20:
            self.came.set()


def kill_server(port: int) -> None:
    """Kill the server's processes, but not the guardian that ends them."""
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []
        if str(port) in command and "agent.engine.guardian" not in command:
            process.kill()
