"""A check whose requests the server does not answer says so, and not that the model is bad."""

from __future__ import annotations

import pytest

from agent.config import load_config
from agent.engine.base import SamplingParams
from agent.engine.persistent import PersistentEngine
from agent.errors import EngineUnavailableError, UnhealthyModelError
from agent.health.gate import HealthGate
from tests.support.doubles import ScriptedEngine, ScriptedSandbox
from tests.support.virtual_time import run_virtual

BUSY = "the engine at https://api.example.com/v1 answered 429: Rate limit exceeded"
REMEDY = "start again when the server answers requests, or skip the check with --no-check"


def busy(prompt: str, params: SamplingParams) -> str:
    raise EngineUnavailableError(BUSY)


def wrong(prompt: str, params: SamplingParams) -> str:
    return "The answer is surely \\boxed{7}"


def failure(engine: ScriptedEngine) -> str:
    async def main() -> str:
        served = PersistentEngine(engine)
        await served.start()
        config = load_config("hosted", {"engine.model": "m", "budget.time_limit_seconds": 40})
        gate = HealthGate(config, served, ScriptedSandbox(), lambda config: engine, lambda text: None, 0.0)
        with pytest.raises(UnhealthyModelError) as ended:
            await gate.check()
        return str(ended.value)

    return run_virtual(main())


def test_a_server_that_is_busy_throughout_is_not_said_to_need_other_weights() -> None:
    told = failure(ScriptedEngine(busy))
    assert f"it generated nothing ({BUSY}) in 40 s; {REMEDY}" in told
    assert "weights" not in told and "sample.family" not in told


def test_nor_is_one_that_never_answers() -> None:
    told = failure(ScriptedEngine(wrong, 1e5))
    assert f"it generated nothing in 40 s; {REMEDY}" in told and "weights" not in told


def test_a_model_that_answers_wrong_is() -> None:
    told = failure(ScriptedEngine(wrong, 0.1))
    assert "try other weights" in told and REMEDY not in told
