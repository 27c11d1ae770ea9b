"""Engines that fail repeatedly or in unusual ways: restarts, errors of any kind, streams that keep breaking."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from agent.engine.base import Chunk, Prompt, SamplingParams
from agent.errors import ContextExceededError, EngineError, StreamBrokenError
from agent.gateway_run import solve_persistently
from agent.policy.budget import TimeBank
from agent.run import run_problems
from agent.types import Allowance, Problem, Solution, StopReason
from tests.agent.test_outages import own_number, run
from tests.support.doubles import PROBLEM, ScriptedEngine, config_with, runtime
from tests.support.virtual_time import run_virtual


@pytest.mark.parametrize("restart", [30.0, 400.0])
def test_a_server_of_ours_that_is_restarted_for_minutes_costs_no_problem(restart: float) -> None:
    """It crashes in the second problem; its restart, longer than a problem may take, is not cancelled with that."""

    class Restarting(ScriptedEngine):
        up, starts = True, 0

        async def ready(self) -> None:
            if not self.up:
                self.starts += 1
                await asyncio.sleep(restart)
                self.up = True

        async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
            if not self.up:
                raise StreamBrokenError("connection reset")
            async for chunk in super().stream(prompt, params):
                if self.starts == 0 and asyncio.get_running_loop().time() > 80:
                    self.up = False
                    raise StreamBrokenError("connection reset")
                yield chunk

    engine = Restarting(own_number)

    async def main() -> list[Solution]:
        config = config_with(sample__count=2, budget__ceiling_seconds=100, budget__time_limit_seconds=1_500)
        bank = TimeBank(1_500, asyncio.get_running_loop().time)
        problems = [Problem(f"p{n}", f"Problem {n}?", n) for n in range(4)]
        return await run_problems(problems, runtime(engine, config), bank)

    assert [solution.answer for solution in run_virtual(main())] == [0, 1, 2, 3]
    assert engine.starts == 1


@pytest.mark.parametrize("error", [TimeoutError(), ValueError("odd"), KeyError("odd"), EngineError("odd")])
def test_whatever_an_engine_raises_when_it_is_asked_or_warmed_costs_no_problem(error: Exception) -> None:
    class Odd(ScriptedEngine):
        asked = 0

        async def ready(self) -> None:
            self.asked += 1
            if self.asked % 3 == 2:
                raise error

        async def warm(self, prompt: str) -> None:
            raise error

    async def main() -> list[Solution]:
        bank = TimeBank(3_000, asyncio.get_running_loop().time)
        problems = [Problem(f"p{n}", f"Problem {n}?", n) for n in range(4)]
        return await run_problems(problems, runtime(Odd(own_number), config_with(sample__count=2)), bank)

    assert [solution.answer for solution in run_virtual(main())] == [0, 1, 2, 3]


def test_streams_that_break_after_some_words_each_time_are_not_asked_without_a_pause() -> None:
    class Short(ScriptedEngine):
        async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
            self.prompts.append(str(prompt))
            yield Chunk(f"word number {len(self.prompts)} " * 7, 20)
            raise StreamBrokenError("abort")

    engine = Short(own_number)

    async def main() -> Solution:
        setting = runtime(engine, config_with(sample__count=1, sample__max_tokens=100_000))
        return await solve_persistently(PROBLEM, setting, Allowance(600, 590))

    run_virtual(main())
    assert len(engine.prompts) < 60


def test_a_server_that_finds_every_request_too_long_is_why_nothing_is_solved() -> None:
    class Narrow(ScriptedEngine):
        async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
            self.prompts.append(str(prompt))
            raise ContextExceededError("answered 413: Request Entity Too Large")
            yield Chunk("", 0)

    async def main() -> Solution:
        return await solve_persistently(
            PROBLEM, runtime(Narrow(own_number), config_with(sample__count=2)), Allowance(20, 19)
        )

    solution = run_virtual(main())
    assert (solution.answer, solution.stop) == (None, StopReason.ENGINE_ERROR)
    assert "Too Large" in solution.failure


def test_a_server_that_fails_for_some_seconds_costs_no_problem() -> None:
    def fault(moment: float) -> EngineError | None:
        return StreamBrokenError("answered 500") if moment < 6 else None

    solutions, _, _, _ = run(fault, config_with(sample__count=2, budget__time_limit_seconds=3_000), problems=1)
    assert [solution.answer for solution in solutions] == [0]
