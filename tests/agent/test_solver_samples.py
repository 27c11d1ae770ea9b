"""Which samples a problem starts, keeps and counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest

from agent.engine.base import Chunk, Prompt, SamplingParams
from agent.errors import RequestRefusedError
from agent.lane.seed import sample_seed
from agent.policy.settings import StoppingConfig
from agent.policy.stopping import judge
from agent.sandbox.base import Session
from agent.solver import solve_problem
from agent.types import Allowance, SampleEnd, Solution, StopReason
from tests.agent.policy.test_stopping import progress
from tests.agent.test_solver import AMPLE, lanes, solve, words
from tests.support.doubles import PROBLEM, Recorder, ScriptedEngine, ScriptedSandbox, config_with, runtime
from tests.support.lanes import with_code
from tests.support.samples import sample
from tests.support.virtual_time import run_virtual


def test_while_nobody_leads_further_samples_are_started_up_to_the_count() -> None:
    """Two lanes at a time: both without an answer, then a tie, then one vote that leads."""
    drawn = [words(10, None), words(12, None), words(10, 5), words(12, 42), words(10, 42), words(900, 7)]
    engine, recorder = ScriptedEngine(lanes(*drawn, forced="none}")), Recorder()
    allowance = Allowance(500, 490, lanes=2)
    solution, _ = solve(engine, emit=recorder, allowance=allowance, sample__count=6, stopping__rule="wait-for-all")
    assert (solution.answer, solution.stop) == (42, StopReason.ALL_DONE)
    assert [lanes for *_, lanes in recorder.started] == [2] and solution.samples_started == 6


def test_where_somebody_leads_no_further_samples_are_started() -> None:
    engine = ScriptedEngine(lanes(words(10, 42), words(12, None), words(10, 5), forced="none}"))
    solution, _ = solve(engine, allowance=Allowance(500, 490, lanes=2), sample__count=3)
    assert (solution.answer, solution.stop, solution.samples_started) == (42, StopReason.ALL_DONE, 2)


def test_samples_that_end_at_one_moment_are_taken_in_the_order_of_their_start() -> None:
    """So a replay of theirs is the same each time, also under rules that look at the order of the answers."""
    engine, recorder = ScriptedEngine(lanes(*(words(10, answer) for answer in range(32)))), Recorder()
    solve(engine, emit=recorder, sample__count=32, stopping__rule="wait-for-all")
    assert [ended.index for ended in recorder.samples] == list(range(32))


def test_samples_that_are_refused_at_one_moment_are_all_recorded_before_the_problem_ends() -> None:
    class Refusing(ScriptedEngine):
        async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
            await asyncio.sleep(1)
            raise RequestRefusedError("answered 401: wrong key")
            yield Chunk("", 0)

    recorder = Recorder()
    solution, moment = solve(Refusing(lanes()), emit=recorder, sample__count=5)
    assert (solution.stop, solution.failure, moment) == (StopReason.ENGINE_ERROR, "answered 401: wrong key", 1)
    assert [(each.index, each.end) for each in recorder.samples] == [(n, SampleEnd.ENGINE_ERROR) for n in range(5)]


@pytest.mark.parametrize(("limit", "ends"), [(100, [12, 100]), (199, [12, 199]), (1_000, [12, 200])])
def test_a_sample_ends_at_its_own_limit_or_with_its_problem_whichever_comes_first(limit: int, ends: list[int]) -> None:
    engine, recorder = ScriptedEngine(lanes(words(12, None), words(900, 5), forced="none}")), Recorder()
    within = Allowance(200, 200)
    solve(engine, emit=recorder, allowance=within, sample__count=2, sample__max_seconds=limit, sample__answer_tokens=0)
    assert [each.seconds for each in recorder.samples] == ends
    assert recorder.samples[-1].end is SampleEnd.DEADLINE


def test_a_problem_is_closed_at_the_moment_that_its_stopping_rule_names() -> None:
    """Seconds are the problem's own: it starts at the fiftieth, and its first vote comes after ten."""

    async def main() -> tuple[Solution, float]:
        await asyncio.sleep(50)
        engine = ScriptedEngine(lanes(words(10, 42), *[words(900, 5)] * 2))
        setting = runtime(engine, config_with(sample__count=3, stopping__rule="price"))
        return await solve_problem(PROBLEM, setting, AMPLE), setting.clock()

    solution, moment = run_virtual(main())
    named = judge(progress([42], running=2, elapsed=10, first=10), StoppingConfig(rule="price")).until
    assert (solution.answer, solution.stop) == (42, StopReason.PATIENCE)
    assert 10 < named < 100 and moment == pytest.approx(50 + named, abs=0.01)


def test_an_answer_that_is_known_votes_though_its_lane_is_cancelled_while_its_session_closes() -> None:
    class SlowToClose(ScriptedSandbox):
        async def session(self, seed: int | None = None) -> Session:
            session = await super().session(seed)
            close = session.close

            async def slowly() -> None:
                await asyncio.sleep(100)
                await close()

            session.close = slowly  # type: ignore[method-assign]
            return session

    code = "```python\nprint(6 * 7)\n```"
    replies = {sample_seed(0, "p1", 0): code, sample_seed(0, "p1", 0) + 1: "so \\boxed{42}"}

    def reply(prompt: str, params: SamplingParams) -> str:
        return replies.get(params.seed or 0, words(30, 5))

    engine, recorder = ScriptedEngine(reply), Recorder()
    solution, _ = solve(
        engine, emit=recorder, sandbox=SlowToClose(), sample__count=3, stopping__rule="margin", stopping__margin=2
    )
    assert {vote.answer: vote.samples for vote in solution.tally.votes} == {5: 2, 42: 1}


@pytest.mark.parametrize(("end", "weight"), [(SampleEnd.NO_ANSWER, 1.0), (SampleEnd.DEADLINE, 0.5)])
def test_an_answer_forced_after_a_natural_end_weighs_as_much_as_any(end: SampleEnd, weight: float) -> None:
    solution, _ = solve(
        ScriptedEngine(lanes(words(10, 5))), prior=[sample(42, index=1, forced=True, end=end)], sample__count=2
    )
    assert {vote.answer: vote.weight for vote in solution.tally.votes} == {5: 1.0, 42: weight}


@pytest.mark.parametrize(("prior", "granted"), [((None, None, None), 3), ((1, 2), 2), ((), 0)])
def test_prior_samples_that_fill_the_granted_lanes_without_a_leader_are_followed_by_others(
    prior: Sequence[int | None], granted: int
) -> None:
    before = [sample(answer, index=index) for index, answer in enumerate(prior)]
    engine = ScriptedEngine(lanes(*[words(10, 42)] * 5))
    solution, _ = solve(engine, prior=before, allowance=Allowance(500, 490, lanes=granted), sample__count=5)
    assert solution.answer == 42


def test_a_forced_answer_after_a_natural_end_weighs_1_though_the_deadline_comes_between() -> None:
    engine, recorder = ScriptedEngine(lanes(words(40, None), forced="is 42}")), Recorder()
    solution, _ = solve(engine, emit=recorder, allowance=Allowance(60, 40.5), sample__count=1)
    assert [(s.answer, s.end, s.forced) for s in recorder.samples] == [(42, SampleEnd.NO_ANSWER, True)]
    assert solution.tally.votes[0].weight == 1.0


def test_a_solution_tells_what_its_samples_have_cost_together_those_of_an_earlier_attempt_included() -> None:
    recorder, prior = Recorder(), [sample(42, index=0, seconds=3.0)]
    solution, when = solve(
        ScriptedEngine(with_code), emit=recorder, prior=prior, sample__count=3, stopping__rule="wait-for-all"
    )
    drawn = recorder.samples
    assert (solution.samples_started, solution.tool_runs, len(drawn)) == (3, 2, 2)
    assert solution.tokens == prior[0].tokens + sum(each.tokens for each in drawn) > prior[0].tokens
    assert (solution.seconds, solution.at, solution.first_vote) == (when, when, 3.0)
    assert (solution.allowance, recorder.started[0][2]) == (AMPLE.seconds, AMPLE.seconds)
