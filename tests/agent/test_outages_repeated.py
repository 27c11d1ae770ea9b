"""Engines that fail repeatedly or in unusual ways: restarts, errors of any kind, streams that keep breaking."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest

from agent.engine.base import Chunk, Prompt, SamplingParams
from agent.errors import ContextExceededError, EngineError, EngineUnavailableError, StreamBrokenError
from agent.gateway_run import solve_persistently
from agent.policy.budget import TimeBank
from agent.run import run_problems
from agent.solver import solve_problem
from agent.types import Allowance, Problem, Solution, StopReason
from tests.agent.test_outages import own_number, run
from tests.agent.test_solver import lanes, words
from tests.support.doubles import PROBLEM, ScriptedEngine, config_with, runtime
from tests.support.samples import sample
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


class Away(ScriptedEngine):
    """Fails with `error` from `since` on, before a stream and at its next token; `ready` too if that is an outage."""

    def __init__(self, error: EngineError, since: float = 0.0) -> None:
        super().__init__(lambda prompt, params: f"{'word ' * 60}\\boxed{{42}}")
        self.error, self.since = error, since

    def _check(self) -> None:
        if asyncio.get_running_loop().time() >= self.since:
            raise self.error

    async def ready(self) -> None:
        if isinstance(self.error, EngineUnavailableError):
            self._check()

    async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
        self._check()
        async for chunk in super().stream(prompt, params):
            self._check()
            yield chunk


def attempted(
    engine: ScriptedEngine, seconds: float, prior: Sequence[int | None] = (), extension: float = 0.0
) -> Solution:
    """One attempt of so many seconds at four samples, with the answers of those that are there already."""

    async def main() -> Solution:
        setting = runtime(engine, config_with(sample__count=4, stopping__rule="wait-for-all"))
        allowance = Allowance(seconds, 0.9 * seconds, extension)
        return await solve_problem(
            PROBLEM, setting, allowance, [sample(answer, index=index) for index, answer in enumerate(prior)]
        )

    return run_virtual(main())


@pytest.mark.parametrize("seconds", [0.3, 0.8, 3.0, 30.0])
@pytest.mark.parametrize("error", [EngineUnavailableError("connection refused"), StreamBrokenError("connection reset")])
@pytest.mark.parametrize(("prior", "extension"), [((), 0.0), ((), 20.0), ((7,), 0.0), ((None,), 20.0)])
def test_an_attempt_in_which_no_lane_got_a_token_says_why_however_short_it_is(
    error: EngineError, seconds: float, prior: Sequence[int | None], extension: float
) -> None:
    solution = attempted(Away(error), seconds, prior, extension)
    assert (solution.stop, solution.failure) == (StopReason.ENGINE_ERROR, str(error))
    assert solution.answer == (prior or [None])[0]


def test_lanes_that_lose_the_engine_before_their_first_token_have_not_used_up_their_time() -> None:
    error = EngineUnavailableError("connection refused")
    solution = attempted(Away(error, since=0.5), 1.5)
    assert (solution.stop, solution.failure) == (StopReason.ENGINE_ERROR, "connection refused")


@pytest.mark.parametrize(("since", "seconds"), [(9.5, 10.0), (99.0, 0.3), (99.0, 10.0)])
def test_lanes_that_wrote_until_the_deadline_or_were_only_slow_have_used_up_their_time(
    since: float, seconds: float
) -> None:
    solution = attempted(Away(EngineUnavailableError("connection refused"), since), seconds)
    assert (solution.stop, solution.failure) == (StopReason.DEADLINE, "")


def test_a_sample_that_waits_for_the_engine_does_not_outweigh_those_that_have_voted() -> None:
    solution = attempted(Away(EngineUnavailableError("connection refused")), 3.0, (7, 7, 8))
    assert (solution.answer, solution.stop, solution.failure) == (7, StopReason.DEADLINE, "")


@pytest.mark.parametrize("limit", [2, 3, 5, 8, 13])
def test_a_run_that_ends_while_its_streams_break_says_why_of_every_problem(limit: int) -> None:
    config = config_with(sample__count=2, budget__time_limit_seconds=limit)
    solutions, *_ = run(lambda moment: StreamBrokenError("garbled"), config, problems=3)
    assert {(each.stop, each.failure) for each in solutions} == {(StopReason.ENGINE_ERROR, "garbled")}


def solved_through(downtime: float, engine: ScriptedEngine, extension: float = 0.0) -> Solution:
    """The solution of a problem with 100 seconds, of which the engine is down for so many from the twentieth on."""

    async def main() -> Solution:
        loop = asyncio.get_running_loop()
        loop.call_at(20, setattr, engine, "down", True)
        loop.call_at(20 + downtime, setattr, engine, "down", False)
        return await solve_problem(
            PROBLEM, runtime(engine, config_with(sample__count=2)), Allowance(100, 90, extension)
        )

    return run_virtual(main())


@pytest.mark.parametrize(
    ("downtime", "extension", "stop"),
    [(60, 0, StopReason.ENGINE_ERROR), (60, 50, StopReason.DEADLINE), (5, 0, StopReason.DEADLINE)],
)
def test_an_engine_that_took_most_of_a_problems_time_and_left_no_vote_is_why_it_is_not_solved(
    downtime: float, extension: float, stop: StopReason
) -> None:
    solution = solved_through(downtime, ScriptedEngine(lanes(*[words(900, 42)] * 2, forced="none}")), extension)
    assert (solution.answer, solution.stop) == (None, stop)
    assert ("the engine was down for most of the time" in solution.failure) is (stop is StopReason.ENGINE_ERROR)


def test_an_outage_before_a_problem_is_not_why_it_is_not_solved() -> None:
    async def main() -> Solution:
        engine = ScriptedEngine(lanes(*[words(900, 42)] * 2, forced="none}"), down=True)
        setting = runtime(engine, config_with(sample__count=2))
        asyncio.get_running_loop().call_at(200, setattr, engine, "down", False)
        await setting.engine.ready()
        return await solve_problem(PROBLEM, setting, Allowance(100, 90))

    solution = run_virtual(main())
    assert (solution.answer, solution.stop, solution.failure) == (None, StopReason.DEADLINE, "")


def test_a_vote_that_comes_in_spite_of_a_long_outage_is_the_answer() -> None:
    solution = solved_through(60, ScriptedEngine(lanes(words(10, 42), words(900, 5), forced="none}")))
    assert (solution.answer, solution.stop, solution.failure) == (42, StopReason.DEADLINE, "")


def test_what_a_problem_tells_of_the_speed_of_a_run_holds_no_outage() -> None:
    for downtime, seconds in ((0.0, 30.0), (5.0, None)):
        learnt = solved_through(downtime, ScriptedEngine(lanes(words(30, 42), words(30, 42)))).learnt
        assert learnt is not None and learnt.seconds == seconds
