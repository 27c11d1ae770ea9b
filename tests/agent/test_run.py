"""A run over many problems: order, time limit, resumption, several in flight."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import Config
from agent.engine.base import SamplingParams
from agent.engine.persistent import PersistentEngine
from agent.errors import JournalError
from agent.events import Event, Listener, ProblemSolved, SampleEnded
from agent.journal.journal import Journal, RunRecord, create_run, read_run
from agent.lane.runtime import Runtime
from agent.policy.budget import TimeBank
from agent.policy.planning.planners import PLANNERS
from agent.run import run_problems
from agent.types import Problem, Solution, StopReason
from tests.support.doubles import Recorder, ScriptedEngine, ScriptedSandbox, config_with
from tests.support.tiers.cases import examples
from tests.support.virtual_time import run_virtual

PROBLEMS = [Problem(f"p{n}", f"Problem {n}?", n) for n in range(6)]


def answer_own_number(prompt: str, params: SamplingParams) -> str:
    number = prompt.split("Problem ")[1][0]
    return f"{'word ' * 30}\\boxed{{{number}}}"


def run(
    config: Config,
    engine: ScriptedEngine,
    emit: Listener,
    *,
    before: RunRecord | None = None,
    stop_after: float | None = None,
) -> tuple[list[Solution], float]:
    async def main() -> tuple[list[Solution], float]:
        clock = asyncio.get_running_loop().time
        bank = TimeBank(config.time_limit_seconds, clock, spent=before.spent if before else 0)
        async with asyncio.timeout(stop_after):
            parts = Runtime(config, PersistentEngine(engine), ScriptedSandbox(), emit, lambda: bank.spent)
            solutions = await run_problems(PROBLEMS, parts, bank, before=before)
        return solutions, bank.spent

    return run_virtual(main())


def test_every_problem_gets_a_solution_in_order() -> None:
    solutions, _ = run(config_with(), ScriptedEngine(answer_own_number), Recorder())
    assert [(s.problem_id, s.answer) for s in solutions] == [(p.id, p.answer) for p in PROBLEMS]


def test_the_time_limit_holds_and_what_could_not_be_started_says_so() -> None:
    config = config_with(budget__time_limit_seconds=40, budget__spread=3, sample__count=2)
    solutions, spent = run(config, ScriptedEngine(lambda prompt, params: "word " * 500), Recorder())
    assert spent <= 40
    assert [s.stop for s in solutions].count(StopReason.DEADLINE) >= 2
    assert solutions[-1].stop is StopReason.OUT_OF_TIME


def test_an_interrupted_run_resumes_with_what_is_missing(tmp_path: Path) -> None:
    config = config_with(sample__count=3, stopping__margin=9)
    create_run(tmp_path, config, PROBLEMS)
    journal = Journal(tmp_path)
    try:
        run(config, ScriptedEngine(answer_own_number), journal, stop_after=100)
    except TimeoutError:
        journal.close()
    before = read_run(tmp_path)
    assert 0 < len(before.solved) < len(PROBLEMS)

    recorder = Recorder()
    engine = ScriptedEngine(answer_own_number)
    solutions, spent = run(config, engine, recorder, before=before)
    assert [s.answer for s in solutions] == [p.answer for p in PROBLEMS]
    assert {s.problem_id for s in recorder.solutions}.isdisjoint(before.solved)
    assert spent > before.spent > 60


def test_the_default_policy_resumes_within_a_problem_and_learns_of_whole_ones(tmp_path: Path) -> None:
    def reply(prompt: str, params: SamplingParams) -> str:
        number = prompt.split("Problem ")[1][0]
        return f"{'word ' * (10 + (params.seed or 0) % 60)}\\boxed{{{number}}}"

    config = config_with(stopping__rule="price", budget__planner="price", sample__count=5, budget__floor_seconds=200)
    create_run(tmp_path, config, PROBLEMS)
    journal = Journal(tmp_path)

    def stop_after_a_vote(event: Event) -> None:
        journal(event)
        if isinstance(event, SampleEnded) and event.sample.problem_id == "p2":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(config, ScriptedEngine(reply), stop_after_a_vote)
    journal.close()
    before = read_run(tmp_path)
    assert list(before.solved) == ["p0", "p1"] and [each.answer for each in before.samples_of("p2")] == [2]
    solutions, _ = run(config, ScriptedEngine(reply), Recorder(), before=before)
    assert [each.answer for each in solutions] == [each.answer for each in PROBLEMS]
    assert [each.problem_id for each in solutions if each.learnt is None] == ["p2"]


def test_a_run_that_was_out_of_time_can_be_given_more(tmp_path: Path) -> None:
    config = config_with(budget__time_limit_seconds=30, budget__spread=3, sample__count=1)
    create_run(tmp_path, config, PROBLEMS)
    journal = Journal(tmp_path)
    first, _ = run(config, ScriptedEngine(answer_own_number, seconds=2), journal)
    journal.close()
    assert any(s.stop is StopReason.OUT_OF_TIME for s in first)
    second, _ = run(
        config_with(sample__count=1), ScriptedEngine(answer_own_number), Recorder(), before=read_run(tmp_path)
    )
    owed = [p.answer for p, s in zip(PROBLEMS, first, strict=True) if s.stop is StopReason.OUT_OF_TIME]
    assert [s.answer for s in second[-len(owed) :]] == owed


def test_several_problems_in_flight_are_started_in_order_and_keep_the_engine_busy() -> None:
    recorder = Recorder()
    alone = run(config_with(stopping__margin=9), ScriptedEngine(answer_own_number), Recorder())
    solutions, spent = run(
        config_with(stopping__margin=9, problems_in_flight=3), ScriptedEngine(answer_own_number), recorder
    )
    assert [(s.problem_id, s.answer) for s in solutions] == [(p.id, p.answer) for p in PROBLEMS]
    assert [problem.id for problem, *_ in recorder.started] == [p.id for p in PROBLEMS]
    assert spent < alone[1] / 2.5


def test_with_several_in_flight_the_time_limit_holds_and_each_is_granted_more() -> None:
    recorder = Recorder()
    config = config_with(budget__time_limit_seconds=60, budget__spread=1, problems_in_flight=3)
    solutions, spent = run(config, ScriptedEngine(lambda prompt, params: "word " * 500), recorder)
    assert spent <= 60
    assert [allowance for *_, allowance, _ in recorder.started[:3]] == [30, 30, 30]
    assert all(solution.stop is StopReason.DEADLINE for solution in solutions)


@examples(25)
@given(
    st.lists(st.integers(1, 400), min_size=6, max_size=6),
    st.integers(1, 4),
    st.integers(5, 400),
    st.sampled_from(sorted(PLANNERS)),
    st.just(1.0) | st.floats(1, 4),
)
def test_problems_in_flight_never_pass_the_bank_and_even_shares_leave_none_without_time(
    words: list[int], in_flight: int, limit: int, planner: str, spread: float
) -> None:
    def reply(prompt: str, params: SamplingParams) -> str:
        number = int(prompt.split("Problem ")[1][0])
        return f"{'word ' * words[number]}\\boxed{{{number}}}"

    keys = {"budget__time_limit_seconds": limit, "budget__planner": planner, "budget__spread": spread}
    config = config_with(problems_in_flight=in_flight, sample__count=3, **keys)
    solutions, spent = run(config, ScriptedEngine(reply), Recorder())
    assert spent <= limit + 1e-6
    assert [solution.problem_id for solution in solutions] == [problem.id for problem in PROBLEMS]
    if planner == "spread" and spread == 1:
        assert all(solution.attempted for solution in solutions)


def test_one_failing_problem_ends_the_others_in_flight_with_its_own_error() -> None:
    class Full(Recorder):
        def __call__(self, event: Event) -> None:
            if isinstance(event, ProblemSolved):
                raise JournalError("the disk is full")

    engine = ScriptedEngine(answer_own_number)
    with pytest.raises(JournalError, match="full"):
        run(config_with(problems_in_flight=3), engine, Full())
    assert engine.running == 0
