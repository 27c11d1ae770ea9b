"""The three dialects in which the coder family calls Python, on the real vLLM with a real small model."""

from __future__ import annotations

import asyncio
from pathlib import Path

from agent.config import load_config
from agent.engine.persistent import PersistentEngine
from agent.engine.vllm.server import VllmEngine
from agent.lane.runtime import Runtime
from agent.problems.reader import starter_problems
from agent.solver import solve_problem
from agent.types import Allowance
from tests.support.doubles import Recorder, ScriptedSandbox
from tests.support.servers.vllm_installed import PYTHON, QUIET, hf_model, needs_vllm

pytestmark = needs_vllm

FAMILIES = ("qwen-coder", "qwen-coder-calls", "qwen-coder-tagged")


async def test_every_lane_of_each_dialect_runs_its_code_and_nothing_that_it_calls_is_passed_over(
    tmp_path: Path,
) -> None:
    """This model often ends its turn in place of the tag that closes a call."""
    keys = {
        "engine.model": str(hf_model("qwen2.5-coder-0.5b")),
        "engine.start_seconds": 900.0,
        "vllm.hang_seconds": 300.0,
        "vllm.python": str(PYTHON),
        "sample.count": 4,
        "sample.max_tokens": 200,
        "sample.accept_printed_answer": True,
        "stopping.rule": "wait-for-all",
    }
    config = load_config("vllm-cpu", keys)
    vllm = config.vllm.model_copy(update={"environment": {**config.vllm.environment, **QUIET}})
    engine = PersistentEngine(
        VllmEngine(config.engine, vllm, log_path=tmp_path / "log", on_event=lambda text: None), start_seconds=900.0
    )
    try:
        await engine.start()
        clock = asyncio.get_running_loop().time
        for family in FAMILIES:
            recorder, spoken = Recorder(), load_config("vllm-cpu", keys | {"sample.family": family})
            runtime = Runtime(spoken, engine, ScriptedSandbox("225"), recorder, clock)
            solution = await solve_problem(starter_problems()[0], runtime, Allowance(600, 590))
            assert solution.answer == 225, family
            whole = [sample for sample in recorder.samples if sample.turns[0].tokens < spoken.sample.max_tokens]
            assert [len(sample.tool_runs) for sample in whole] == [1] * len(whole), family
            assert len(whole) > 1 and sum(sample.unrun_blocks for sample in whole) == 0, family
    finally:
        await engine.close()
