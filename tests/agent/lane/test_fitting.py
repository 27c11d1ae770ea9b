"""No request is longer than the server's context, and no lane is lost to it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.chat.dialects import chat_format
from agent.chat.task import CompetitionTask
from agent.config import Config, load_config, profile_names
from agent.engine.base import Chunk, Prompt, SamplingParams
from agent.engine.persistent import PersistentEngine
from agent.lane.runtime import Runtime
from agent.solver import solve_problem
from agent.types import Allowance, Problem, SampleEnd, Solution, StopReason, ToolRun, ToolStatus
from tests.support.doubles import Recorder, ScriptedSandbox
from tests.support.refusing_engine import RefusingEngine, Tells
from tests.support.tiers.cases import examples
from tests.support.virtual_time import run_virtual

GPU_PROFILES = [name for name in profile_names() if load_config(name, {"engine.url": "http://x"}).engine.kind == "vllm"]
CODE = "\n```python\nprint(6 * 7)\n```"


@dataclass
class Digits(ScriptedSandbox):
    """Prints what costs most tokens: digits, commas and spaces, as many as a profile shows at most."""

    chance: random.Random = field(default_factory=random.Random)
    most: int = 4_000

    async def session(self, seed: int | None = None) -> Digits:
        return self

    async def run(self, code: str, timeout: float | None = None) -> ToolRun:  # noqa: ASYNC109
        length = self.chance.choice([0, 2, 60, self.most // 2, self.most])
        kind = self.chance.choice(["9", "1, ", "prose and ", "\u4e2d"])
        return ToolRun(code, (kind * length)[:length], ToolStatus.OK, 0.0)

    async def close(self) -> None:
        pass


def script(chance: random.Random) -> tuple[int, int]:
    """How many tool runs a model makes, and how many words it says around each."""
    return chance.choice([0, 1, 3, 12, 40]), chance.choice([1, 20, 2_000])


def model(rounds: int, words: int, close: str) -> RefusingEngine:
    def reply(prompt: str) -> str:
        if prompt.endswith("\\boxed{"):
            return "42}\n"
        if prompt.rpartition("<|im_start|>assistant")[2].count("```output") < rounds:
            return f"{'let me see ' * words}{CODE}"
        return f"{'so then ' * words}{close}\\boxed{{42}}"

    return RefusingEngine(reply, context=0)


def solve(config: Config, engine: RefusingEngine, sandbox: Digits, text: str) -> tuple[Solution, Recorder]:
    recorder = Recorder()

    async def main() -> Solution:
        clock = asyncio.get_running_loop().time
        setting = Runtime(config, PersistentEngine(engine), sandbox, recorder, clock)
        return await solve_problem(Problem("p", text, 42), setting, Allowance(1e6, 1e6 - 10))

    return run_virtual(main()), recorder


@examples(200)
@given(st.integers(0, 2**32), st.sampled_from(GPU_PROFILES), st.sampled_from(list(Tells)))
def test_no_lane_of_a_gpu_profile_is_lost_to_digits(seed: int, profile: str, tells: Tells) -> None:
    chance = random.Random(seed)
    config = load_config(profile, {"sample.count": 1, "engine.context_tokens": chance.choice([4096, 24_576])})
    engine = model(*script(chance), chat_format(config.sample.family, tools=True).think_close)
    engine.context, engine.tells = config.engine.context_tokens, tells
    solution, recorder = solve(config, engine, Digits(chance=chance), f"What is {'7, ' * chance.choice([1, 900])}?")
    assert (solution.answer, engine.refusals) == (42, 0)
    assert recorder.samples[0].end in (
        SampleEnd.ANSWERED,
        SampleEnd.TOKEN_LIMIT,
        SampleEnd.NO_ANSWER,
        SampleEnd.INCOMPLETE,
        SampleEnd.REPEATING,
    )


@examples(60)
@given(
    st.integers(0, 2**32),
    st.integers(512, 8_192),
    st.sampled_from(list(Tells)),
    st.booleans(),
    st.booleans(),
)
def test_a_smaller_context_is_learned_and_costs_no_lane(
    seed: int, context: int, tells: Tells, lists: bool, names: bool
) -> None:
    chance = random.Random(seed)
    config = load_config("kaggle-l4x4", {"sample.count": 1})
    engine = model(*script(chance), "</think>")
    engine.context, engine.tells, engine.lists_context, engine.names_context = context, tells, lists, names
    solution, recorder = solve(config, engine, Digits(chance=chance), "What is 6 times 7?")
    assert (solution.answer, recorder.samples[0].end is SampleEnd.ENGINE_ERROR) == (42, False)
    assert not lists or engine.refusals == 0


@pytest.mark.parametrize("tells", list(Tells))
@pytest.mark.parametrize("length", [3_000, 100_000])
def test_a_problem_that_cannot_fit_is_cut_and_its_lanes_are_asked(tells: Tells, length: int) -> None:
    config = load_config("kaggle-l4x4", {"sample.count": 2})
    engine = model(0, 1, "</think>")
    engine.context, engine.tells = 2_048, tells
    solution, recorder = solve(config, engine, Digits(), "7, " * length)
    assert (solution.answer, engine.refusals) == (42, 0)
    assert [(sample.end, sample.forced) for sample in recorder.samples] == [(SampleEnd.TOKEN_LIMIT, True)] * 2
    assert solution.stop is not StopReason.ENGINE_ERROR


@pytest.mark.parametrize("tells", list(Tells))
@pytest.mark.parametrize("over", [-1, 0, 1, 200, 2_000])
def test_a_forced_answer_fits_however_little_the_prompt_is_too_long_for_it(tells: Tells, over: int) -> None:
    config = load_config("kaggle-l4x4", {"sample.count": 1})
    engine = model(0, 1, "</think>")
    engine.context, engine.tells = 2_048, tells
    chat = chat_format(config.sample.family, tools=True, max_rounds=config.sample.max_rounds)
    others = len(engine.encode(chat.prompt(CompetitionTask(config.rules), Problem("p", "", 42))))
    text = "7" * (engine.context - config.sample.answer_tokens - others + over)
    solution, _ = solve(config, engine, Digits(), text)
    assert (solution.answer, engine.refusals) == (42, 0) and engine.longest <= engine.context


def test_an_output_that_does_not_fit_keeps_its_beginning_and_its_end() -> None:
    keys = {"sample.count": 1, "engine.context_tokens": 2_048, "sample.family": "qwq"}
    config = load_config("kaggle-l4x4", keys)
    engine = model(1, 1, "</think>")
    engine.context = 2_048

    class Long(Digits):
        async def run(self, code: str, timeout: float | None = None) -> ToolRun:  # noqa: ASYNC109
            return ToolRun(code, f"begin{'1, ' * 4_000}end", ToolStatus.OK, 0.0)

    solution, recorder = solve(config, engine, Long(), "What is 6 times 7?")
    shown = recorder.samples[0].turns[0].inserted
    assert solution.answer == 42 and "begin" in shown and "end\n```" in shown and "[... cut to fit" in shown


class Noting(RefusingEngine):
    """Notes of each request whether it forces an answer, and how long prompt and reply may be together."""

    noted: list[tuple[bool, int]]

    async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
        length = len(self.encode(prompt) if isinstance(prompt, str) else prompt)
        self.noted.append((params.forces_answer, length + params.max_tokens))
        async for chunk in super().stream(prompt, params):
            yield chunk


@pytest.mark.parametrize("context", [1_500, 2_048, 4_096])
def test_a_turn_leaves_room_for_a_forced_answer_to_the_whole_of_it(context: int) -> None:
    config = load_config("kaggle-l4x4", {"sample.count": 1})
    plain = model(0, 1, "</think>")
    engine = Noting(lambda prompt: plain.reply(prompt) if prompt.endswith("{") else "on, " * 5_000, context=context)
    engine.noted = []
    solution, recorder = solve(config, engine, Digits(), "What is 6 times 7?")
    assert (solution.answer, recorder.samples[0].forced) == (42, True)
    (_, turn), (forces, forced) = engine.noted
    assert forces and forced <= context
    assert turn == context - config.sample.answer_tokens - 32
