"""The health gate before a real vLLM server: random weights are stopped within two minutes, a good model passes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent import Agent
from agent.errors import UnhealthyModelError
from tests.support.servers.vllm_installed import PYTHON, QUIET, hf_model, needs_vllm

pytestmark = needs_vllm

MOST_SECONDS = 120.0


def agent_of(model: str, load_format: str, log: Path) -> Agent:
    keys = {
        "engine.model": str(hf_model(model)),
        "vllm.python": str(PYTHON),
        "vllm.load_format": load_format,
        "sample.max_tokens": 150,  # enough for either: the check draws four lanes of them
        **{f"vllm.environment.{name}": value for name, value in QUIET.items()},
    }
    return Agent.open("vllm-cpu", keys, log=log)


async def test_random_weights_are_stopped_within_two_minutes(tmp_path: Path) -> None:
    agent = agent_of("smollm2-135m", "dummy", tmp_path / "log")
    try:
        with pytest.raises(UnhealthyModelError, match=r"failed its check: .*--no-check"):
            await agent.start()
        assert agent.checked is not None and agent.checked.right == 0
        assert agent.checked.seconds < MOST_SECONDS
    finally:
        await asyncio.shield(agent.close())


async def test_a_good_model_passes_and_nothing_is_changed(tmp_path: Path) -> None:
    async with agent_of("qwen2.5-coder-0.5b", "auto", tmp_path / "log") as agent:
        assert agent.checked is not None
        assert (agent.checked.fault, agent.checked.changed) == ("", {})
        assert agent.checked.right >= 1
