"""A run whose engine is away, busy or breaking: nothing is lost that time allowed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable

import pytest

from agent.config import Config
from agent.engine.base import Chunk, Prompt, SamplingParams
from agent.engine.persistent import PersistentEngine
from agent.errors import (
    AgentError,
    EngineError,
    EngineUnavailableError,
    RequestRefusedError,
    StreamBrokenError,
)
from agent.gateway_run import solve_persistently
from agent.policy.budget import TimeBank
from agent.run import run_problems
from agent.types import Allowance, Problem, SampleEnd, Solution, StopReason
from tests.support.doubles import PROBLEM, Recorder, ScriptedEngine, config_with, runtime
from tests.support.tiers.cases import quick_cases
from tests.support.virtual_time import run_virtual

Fault = Callable[[float], EngineError | None]


def own_number(prompt: str, params: SamplingParams) -> str:
    return f"{'word ' * 60}\\boxed{{{prompt.split('Problem ')[1].split('?')[0]}}}"


class FaultyEngine(ScriptedEngine):
    """Fails as `fault` says for the moment, before a stream and in it; continues what had come."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(own_number)
        self.fault = fault
        self.met: list[EngineError] = []

    async def ready(self) -> None:
        error = self.fault(asyncio.get_running_loop().time())
        if isinstance(error, EngineUnavailableError):
            raise error

    def _check(self) -> None:
        error = self.fault(asyncio.get_running_loop().time())
        if error is not None:
            self.met.append(error)
            raise error

    async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
        self._check()
        async for chunk in super().stream(prompt, params):
            self._check()
            yield chunk


def run(
    fault: Fault, config: Config, problems: int = 50, recorder: Recorder | None = None
) -> tuple[list[Solution], float, Recorder, FaultyEngine]:
    recorder, engine = recorder or Recorder(), FaultyEngine(fault)

    async def main() -> tuple[list[Solution], float]:
        bank = TimeBank(config.time_limit_seconds, asyncio.get_running_loop().time)
        asked = [Problem(f"p{n}", f"Problem {n}?", n) for n in range(problems)]
        persistent = PersistentEngine(engine, on_event=recorder.engine_events.append)
        return await run_problems(asked, runtime(persistent, config, emit=recorder), bank), bank.spent

    solutions, spent = run_virtual(main())
    return solutions, spent, recorder, engine


def plan_of_faults(seed: int, hours: float) -> Fault:
    """Stretches of up to ten minutes in which the engine is away, loading or busy, and moments at which it aborts."""
    chance = random.Random(seed)
    stretches: list[tuple[float, float, EngineError]] = []
    now = 0.0
    while now < hours * 3600:
        now += chance.expovariate(1 / 900)
        length = chance.choice([1.0, 20.0, chance.uniform(60, 600)])
        error = chance.choice(
            [
                EngineUnavailableError("connection refused"),
                EngineUnavailableError("answered 503: Loading model", answered=True),
                EngineUnavailableError("answered 429: too many", answered=True, retry_after=chance.uniform(0.5, 40)),
            ]
        )
        stretches.append((now, now + length, error))
        now += length

    def fault(moment: float) -> EngineError | None:
        for begin, end, error in stretches:
            if begin <= moment < end:
                return error
        return StreamBrokenError("finish_reason abort") if chance.random() < 0.002 else None

    return fault


@pytest.mark.parametrize("seed", quick_cases(2, range(6)))
@pytest.mark.further
def test_fifty_problems_through_outages_of_minutes_are_all_solved(seed: int) -> None:
    config = config_with(sample__count=4, budget__time_limit_seconds=17_400, problems_in_flight=1 + seed % 2)
    solutions, spent, recorder, engine = run(plan_of_faults(seed, 5), config)
    assert [solution.answer for solution in solutions] == list(range(50))
    assert spent <= 17_400 and len(engine.met) > 20
    assert not [sample for sample in recorder.samples if sample.end is SampleEnd.INTERNAL_ERROR]
    assert any(text.startswith("waiting for the engine") for text in recorder.engine_events)


def test_an_engine_away_for_longer_than_a_problem_may_take_costs_no_problem() -> None:
    config = config_with(sample__count=4, budget__time_limit_seconds=9_000, budget__ceiling_seconds=200)

    def fault(moment: float) -> EngineError | None:
        return EngineUnavailableError("connection refused") if 100 <= moment < 7_000 else None

    solutions, _, recorder, _ = run(fault, config, problems=20)
    assert [solution.answer for solution in solutions] == list(range(20))
    put_back = [solution for solution in recorder.solutions if solution.stop is StopReason.ENGINE_ERROR]
    assert [(solution.problem_id, solution.failure) for solution in put_back] == [("p1", "connection refused")]


def test_an_engine_that_stays_away_is_why_nothing_is_solved_and_the_time_limit_holds() -> None:
    config = config_with(sample__count=2, budget__time_limit_seconds=3_000)
    solutions, spent, _, _ = run(lambda moment: EngineUnavailableError("connection refused"), config, problems=5)
    assert {(s.answer, s.stop, s.failure) for s in solutions} == {(None, StopReason.ENGINE_ERROR, "connection refused")}
    assert spent == pytest.approx(3_000)


def test_an_engine_that_breaks_every_stream_is_given_up_and_says_why() -> None:
    config = config_with(sample__count=2, budget__time_limit_seconds=30_000)
    solutions, spent, recorder, _ = run(lambda moment: StreamBrokenError("garbled"), config, problems=3)
    assert {(s.answer, s.stop, s.failure) for s in solutions} == {(None, StopReason.ENGINE_ERROR, "garbled")}
    assert spent < 200
    assert {sample.failure for sample in recorder.samples if sample.end is SampleEnd.ENGINE_ERROR} == {"garbled"}


def test_a_server_that_refuses_for_good_ends_the_run_at_once() -> None:
    recorder = Recorder()

    def fault(moment: float) -> EngineError | None:
        return RequestRefusedError("answered 401: wrong key") if moment > 400 else None

    with pytest.raises(RequestRefusedError, match="wrong key"):
        run(fault, config_with(sample__count=2, budget__time_limit_seconds=30_000), recorder=recorder)
    solved = [solution for solution in recorder.solutions if solution.answer is not None]
    assert len(solved) >= 5 and recorder.solutions[-1].failure == "answered 401: wrong key"


def test_a_request_refused_to_one_lane_costs_that_lane_alone() -> None:
    struck: list[float] = []

    def fault(moment: float) -> EngineError | None:
        if moment > 20 and not struck:
            struck.append(moment)
            return RequestRefusedError("answered 400: odd")
        return None

    solutions, _, recorder, _ = run(fault, config_with(sample__count=4, stopping__rule="wait-for-all"), problems=2)
    assert [solution.answer for solution in solutions] == [0, 1]
    assert [sample.failure for sample in recorder.samples if sample.end is SampleEnd.ENGINE_ERROR] == [
        "answered 400: odd"
    ]


def test_a_problem_that_lost_most_lanes_keeps_the_others_and_is_tried_again() -> None:
    """Three of four lanes break for good; in the second attempt only they are drawn."""

    class Breaking(ScriptedEngine):
        broken = 9  # three lanes, three times each

        async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
            if self.broken and len(self.prompts) > 0:
                self.broken -= 1
                raise StreamBrokenError("garbled")
            async for chunk in super().stream(prompt, params):
                yield chunk

    recorder = Recorder()

    async def main() -> Solution:
        setting = runtime(
            Breaking(lambda prompt, params: f"{'word ' * 30}\\boxed{{42}}"),
            config_with(sample__count=4, stopping__rule="wait-for-all"),
            emit=recorder,
        )
        return await solve_persistently(PROBLEM, setting, Allowance(1_000, 990))

    solution = run_virtual(main())
    assert (solution.answer, solution.stop, solution.tally.votes[0].samples) == (42, StopReason.ALL_DONE, 4)
    assert [first.stop for first in recorder.solutions] == [StopReason.ENGINE_ERROR, StopReason.ALL_DONE]
    ends = [sample.end for sample in recorder.samples]
    assert (ends.count(SampleEnd.ENGINE_ERROR), ends.count(SampleEnd.ANSWERED)) == (3, 4)


def test_something_unforeseen_in_a_lane_is_data() -> None:
    class Odd(ScriptedEngine):
        async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
            if not self.prompts:
                self.prompts.append("")
                raise KeyError("choices")
            async for chunk in super().stream(prompt, params):
                yield chunk

    recorder = Recorder()

    async def main() -> Solution:
        setting = runtime(Odd(lambda prompt, params: "so \\boxed{42}"), config_with(sample__count=3), emit=recorder)
        return await solve_persistently(PROBLEM, setting, Allowance(1_000, 990))

    assert run_virtual(main()).answer == 42
    assert [s.failure for s in recorder.samples if s.end is SampleEnd.INTERNAL_ERROR] == ["KeyError: 'choices'"]
    assert not issubclass(KeyError, AgentError)


def test_a_problem_that_is_refused_alone_is_owed_and_the_others_are_solved() -> None:
    class Picky(ScriptedEngine):
        async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
            if "Problem 1?" in str(prompt):
                raise RequestRefusedError("answered 400: this text is not allowed")
            async for chunk in super().stream(prompt, params):
                yield chunk

    async def main() -> list[Solution]:
        bank = TimeBank(3_000, asyncio.get_running_loop().time)
        problems = [Problem(f"p{n}", f"Problem {n}?", n) for n in range(4)]
        return await run_problems(problems, runtime(Picky(own_number), config_with(sample__count=2)), bank)

    solutions = run_virtual(main())
    assert [solution.answer for solution in solutions] == [0, None, 2, 3]
    assert (solutions[1].stop, "not allowed" in solutions[1].failure) == (StopReason.ENGINE_ERROR, True)


def test_a_long_wait_that_a_server_asks_for_does_not_cost_the_run() -> None:
    def fault(moment: float) -> EngineError | None:
        busy = EngineUnavailableError("answered 503", answered=True, retry_after=86_400)
        return busy if 100 <= moment < 105 else None

    solutions, spent, _, _ = run(fault, config_with(sample__count=2, budget__time_limit_seconds=3_000), problems=6)
    assert [solution.answer for solution in solutions] == list(range(6)) and spent < 1_000
