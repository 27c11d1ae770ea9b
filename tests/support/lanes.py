"""Lanes on scripted doubles, run in virtual time."""

from __future__ import annotations

from agent.engine.base import SamplingParams
from agent.lane.lane import Lane
from agent.types import Sample
from tests.support.doubles import PROBLEM, Recorder, ScriptedEngine, ScriptedSandbox, config_with, runtime
from tests.support.virtual_time import run_virtual

CODE = "Let us compute.\n```python\nprint(6 * 7)\n```"


def run_lane(
    engine: ScriptedEngine,
    *,
    sandbox: ScriptedSandbox | None = None,
    emit: Recorder | None = None,
    **keys: object,
) -> Sample:
    async def main() -> Sample:
        lane = Lane(PROBLEM, "PROMPT", 3, runtime(engine, config_with(**keys), sandbox=sandbox, emit=emit))
        return await lane.run()

    return run_virtual(main())


def always(text: str) -> ScriptedEngine:
    return ScriptedEngine(lambda prompt, params: text)


def with_code(prompt: str, params: SamplingParams) -> str:
    return "So it is \\boxed{42}." if "```output\n42\n```" in prompt else CODE + "output\nmade up 17\n```\n \\boxed{17}"


def forced_to(answer: str, before: str) -> ScriptedEngine:
    return ScriptedEngine(lambda prompt, params: answer if prompt.endswith("\\boxed{") else before)
