"""One problem from its lanes to its solution: votes, stopping, deadlines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.base import SamplingParams
from agent.events import Event, SampleEnded
from agent.lane.seed import sample_seed
from agent.solver import solve_problem
from agent.types import Allowance, Sample, SampleEnd, Solution, StopReason
from tests.support.doubles import BREAK, PROBLEM, Recorder, ScriptedEngine, ScriptedSandbox, config_with, runtime
from tests.support.samples import sample
from tests.support.tiers.cases import examples
from tests.support.virtual_time import run_virtual

ASKED = "\\boxed{"
AMPLE = Allowance(500, 490)


def lanes(*replies: str, forced: str = "7}") -> Callable[[str, SamplingParams], str]:
    """Lane n answers with the nth reply; one that is forced to answer says `forced`."""
    by_seed = {sample_seed(0, "p1", index): reply for index, reply in enumerate(replies)}

    def reply(prompt: str, params: SamplingParams) -> str:
        return forced if prompt.endswith(ASKED) else by_seed[params.seed or 0]

    return reply


def words(count: int, answer: int | None) -> str:
    """A reply of so many words, one second each."""
    text = " ".join(f"w{n}" for n in range(count - 1))
    return f"{text} \\boxed{{{answer}}}" if answer is not None else f"{text} end"


def solve(
    engine: ScriptedEngine,
    *,
    emit: Recorder | None = None,
    allowance: Allowance = AMPLE,
    prior: Sequence[Sample] = (),
    sandbox: ScriptedSandbox | None = None,
    answer_at: float | None = None,
    **keys: object,
) -> tuple[Solution, float]:
    """The solution and the moment at which it came."""

    async def main() -> tuple[Solution, float]:
        config = config_with(**keys)
        setting = runtime(engine, config, sandbox=sandbox, emit=emit)
        answer_now = None if answer_at is None else asyncio.Event()
        if answer_at is not None and answer_now is not None:
            asyncio.get_running_loop().call_later(answer_at, answer_now.set)
        solution = await solve_problem(PROBLEM, setting, allowance, prior, answer_now=answer_now)
        return solution, setting.clock()

    return run_virtual(main())


def test_the_majority_wins() -> None:
    engine = ScriptedEngine(lanes(words(10, 5), words(20, 42), words(30, 42)))
    solution, _ = solve(engine, sample__count=3)
    assert (solution.answer, solution.stop, solution.samples_finished) == (42, StopReason.ALL_DONE, 3)


@pytest.mark.parametrize(("tools", "answer"), [(True, 42), (False, 143)])
def test_votes_that_copy_an_example_of_the_prompt_lose_where_the_prompt_shows_it(tools: bool, answer: int) -> None:
    recorder = Recorder()
    engine = ScriptedEngine(lanes(words(10, 143), words(11, 143), words(12, 42)))
    solution, _ = solve(
        engine, emit=recorder, sample__count=3, sample__family="qwen-coder", sample__tools=tools, stopping__margin=9.0
    )
    ended = recorder.samples
    assert solution.answer == answer
    assert [sample.copies_example for sample in ended] == [tools and sample.answer == 143 for sample in ended]


def test_stops_when_the_leader_cannot_be_caught_and_cancels_the_rest_at_once() -> None:
    engine = ScriptedEngine(lanes(words(10, 42), words(20, 42), words(90, 5)))
    recorder = Recorder()
    solution, when = solve(engine, emit=recorder, sample__count=3)
    assert (solution.answer, solution.stop, when) == (42, StopReason.UNCATCHABLE, 20)
    assert engine.running == 0
    assert [s.end for s in recorder.samples] == [SampleEnd.ANSWERED, SampleEnd.ANSWERED, SampleEnd.CANCELLED]
    assert recorder.samples[-1].tokens == 20


@pytest.mark.parametrize("reply", ["\\boxed{42}", f"so {BREAK}"])
def test_a_closed_problem_gives_back_what_the_engine_keeps_for_it(reply: str) -> None:
    engine, recorder = ScriptedEngine(lanes(*[reply] * 3)), Recorder()
    solve(engine, emit=recorder, sample__count=3)
    assert engine.released == [recorder.started[0][1]]


def test_stops_at_the_margin() -> None:
    engine = ScriptedEngine(lanes(*[words(10 + index, 42) for index in range(8)]))
    solution, when = solve(engine, sample__count=8, stopping__margin=2)
    assert (solution.stop, when, solution.samples_finished) == (StopReason.MARGIN, 11, 2)


def test_at_the_deadline_unfinished_lanes_are_forced_to_answer_and_their_votes_count_less() -> None:
    engine = ScriptedEngine(lanes(words(10, 42), words(200, 7), words(200, 7), forced="5}"))
    recorder = Recorder()
    solution, when = solve(engine, emit=recorder, allowance=Allowance(60, 50), sample__count=3)
    assert solution.stop is StopReason.DEADLINE
    assert when <= 52
    assert [(vote.answer, vote.weight) for vote in solution.tally.votes] == [(5, 1.0), (42, 1.0)]
    assert [(s.answer, s.end, s.forced) for s in recorder.samples[1:]] == [(5, SampleEnd.DEADLINE, True)] * 2


@pytest.mark.parametrize(("weight", "forced"), [(0.5, True), (0.49, False)])
def test_answers_are_forced_only_if_their_votes_can_change_the_answer(weight: float, forced: bool) -> None:
    engine = ScriptedEngine(lanes(words(10, 42), words(200, 7), words(200, 7), forced="7}"))
    recorder = Recorder()
    solution, when = solve(
        engine, emit=recorder, allowance=Allowance(60, 50), sample__count=3, voting__forced_weight=weight
    )
    assert solution.stop is StopReason.DEADLINE and (when > 50) is forced
    assert [(s.answer, s.forced) for s in recorder.samples[1:]] == [(7, True) if forced else (None, False)] * 2


def test_no_answer_is_forced_where_no_time_is_kept_for_it() -> None:
    engine, recorder = ScriptedEngine(lanes(words(200, 7))), Recorder()
    solution, when = solve(engine, emit=recorder, allowance=Allowance(50, 50), sample__count=1)
    assert (solution.answer, solution.stop, when, len(engine.prompts)) == (None, StopReason.DEADLINE, 50, 1)
    assert not any(inserted for *_, inserted in recorder.texts)


def test_a_lane_that_is_forced_and_does_not_answer_in_time_is_cut() -> None:
    engine = ScriptedEngine(lanes(words(200, 7), forced=words(100, 5)))
    recorder = Recorder()
    solution, when = solve(engine, emit=recorder, allowance=Allowance(60, 50), sample__count=1)
    assert (solution.answer, solution.stop, when) == (None, StopReason.DEADLINE, 60)
    assert [(s.answer, s.end) for s in recorder.samples] == [(None, SampleEnd.DEADLINE)]
    assert engine.running == 0


def test_no_allowance_means_out_of_time_and_costs_nothing() -> None:
    engine = ScriptedEngine(lanes(words(10, 42)))
    solution, when = solve(engine, allowance=Allowance(0, 0), sample__count=1)
    assert (solution.answer, solution.stop, when, engine.prompts) == (None, StopReason.OUT_OF_TIME, 0, [])


def test_an_engine_that_is_down_is_in_the_solution_and_not_raised() -> None:
    solution, when = solve(ScriptedEngine(lanes(words(10, 42)), down=True), sample__count=1)
    assert (solution.answer, solution.stop, solution.failure) == (None, StopReason.ENGINE_ERROR, "the engine is down")
    assert when <= AMPLE.seconds


def test_all_lanes_failing_is_an_engine_error() -> None:
    solution, _ = solve(ScriptedEngine(lanes(f"a {BREAK}", f"b {BREAK}")), sample__count=2)
    assert (solution.answer, solution.stop) == (None, StopReason.ENGINE_ERROR)


def test_a_lane_whose_stream_breaks_just_before_the_deadline_is_not_lost_to_the_engine() -> None:
    engine, recorder = ScriptedEngine(lanes(f"{'so ' * 48}{BREAK}")), Recorder()
    solution, _ = solve(engine, emit=recorder, allowance=Allowance(49.5, 49.5), sample__count=1)
    assert ([each.end for each in recorder.samples], len(engine.prompts)) == ([SampleEnd.DEADLINE], 2)
    assert (solution.stop, solution.failure) == (StopReason.DEADLINE, "")


def test_one_failing_lane_is_data() -> None:
    solution, _ = solve(ScriptedEngine(lanes(f"a {BREAK}", words(10, 42))), sample__count=2)
    assert (solution.answer, solution.samples_finished) == (42, 2)


def test_samples_of_an_interrupted_run_vote_and_are_not_drawn_again() -> None:
    engine = ScriptedEngine(lanes("", words(30, 5), words(20, 42)))
    recorder = Recorder()
    prior = [sample(42, index=0)]
    solution, _ = solve(engine, emit=recorder, prior=prior, sample__count=3)
    assert (solution.answer, solution.samples_started) == (42, 3)
    assert [s.index for s in recorder.samples if s.end is SampleEnd.ANSWERED] == [2]


def test_a_settled_interrupted_problem_needs_no_engine() -> None:
    prior = [sample(42, index=index) for index in range(3)]
    solution, when = solve(ScriptedEngine(lanes(), down=True), prior=prior, sample__count=3)
    assert (solution.answer, when) == (42, 0)


def test_cancelling_the_solver_leaves_nothing_running() -> None:
    engine = ScriptedEngine(lanes(words(100, 1), words(100, 2)))
    sandbox = ScriptedSandbox()

    async def main() -> None:
        setting = runtime(engine, config_with(sample__count=2), sandbox=sandbox)
        task = asyncio.create_task(solve_problem(PROBLEM, setting, Allowance(500, 490)))
        await asyncio.sleep(10)
        assert engine.running == 2
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_virtual(main())
    assert (engine.running, sandbox.open_sessions) == (0, 0)


def test_what_a_listener_raises_ends_the_problem_cleanly() -> None:
    class Full(Recorder):
        def __call__(self, event: Event) -> None:
            if isinstance(event, SampleEnded):
                raise OSError("disk full")

    engine = ScriptedEngine(lanes(words(10, 1), words(100, 2)))
    with pytest.raises(OSError, match="disk full"):
        solve(engine, emit=Full(), sample__count=2)
    assert engine.running == 0


replies = st.builds(words, st.integers(1, 80), st.none() | st.integers(0, 3)) | st.just(f"a b {BREAK}")


@examples(60)
@given(st.lists(replies, min_size=1, max_size=8), st.floats(0, 60), st.floats(0, 20))
def test_whatever_the_lanes_do_the_allowance_holds_and_every_sample_is_reported_once(
    drawn: list[str], reasoning: float, reserve: float
) -> None:
    engine = ScriptedEngine(lanes(*drawn))
    recorder = Recorder()
    allowance = Allowance(reasoning + reserve, reasoning)
    solution, when = solve(engine, emit=recorder, allowance=allowance, sample__count=len(drawn))
    assert when <= allowance.seconds + 1e-6
    assert solution.answer is None or 0 <= solution.answer <= 99_999
    assert (engine.running, recorder.solutions) == (0, [solution])
    if solution.stop is not StopReason.OUT_OF_TIME:
        assert sorted(s.index for s in recorder.samples) == list(range(len(drawn)))
    assert solution.samples_started == len(recorder.samples)
    assert solution.samples_finished == sum(s.end is not SampleEnd.CANCELLED for s in recorder.samples)
    assert solution.first_vote == min((s.seconds for s in recorder.samples if s.answer is not None), default=None)


@pytest.mark.parametrize(("extension", "ends"), [(0.0, 100), (30.0, 130), (500.0, 150)])
def test_time_in_which_the_engine_was_down_is_given_back(extension: float, ends: float) -> None:
    """The engine is down for 50 s of the problem's 100; it is tried again within half a minute of its return."""

    async def main() -> tuple[Solution, float]:
        engine = ScriptedEngine(lanes(words(900, 42)))
        setting = runtime(engine, config_with(sample__count=1))
        loop = asyncio.get_running_loop()
        loop.call_at(20, setattr, engine, "down", True)
        loop.call_at(70, setattr, engine, "down", False)
        return await solve_problem(PROBLEM, setting, Allowance(100, 90, extension)), setting.clock()

    solution, at = run_virtual(main())
    assert solution.stop is StopReason.DEADLINE and solution.answer == 7
    assert ends - 10 <= at <= ends + 30 and at <= 100 + extension


def test_an_answer_requested_now_is_that_of_the_votes_so_far_and_of_the_lanes_that_are_forced() -> None:
    engine = ScriptedEngine(lanes(words(10, 5), words(400, 42), words(400, 42), forced="7}"))
    solution, moment = solve(engine, sample__count=3, answer_at=20.0)
    assert solution.stop is StopReason.REQUESTED
    assert {vote.answer: vote.samples for vote in solution.tally.votes} == {5: 1, 7: 2}
    assert 20 < moment < 25
    assert engine.running == 0


@pytest.mark.parametrize("answer_at", [0.0, 3.0])
def test_an_answer_requested_before_any_vote_comes_from_the_lanes_that_are_forced(answer_at: float) -> None:
    engine = ScriptedEngine(lanes(*[words(400, 42)] * 4, forced="7}"))
    solution, moment = solve(engine, sample__count=4, answer_at=answer_at)
    assert (solution.stop, engine.running) == (StopReason.REQUESTED, 0)
    assert solution.answer == 7
    assert moment < answer_at + AMPLE.seconds - AMPLE.reasoning_seconds


def test_a_request_for_the_answer_that_comes_with_the_last_vote_loses_none() -> None:
    engine = ScriptedEngine(lanes(words(10, 42), words(10, 42)))
    solution, _ = solve(engine, sample__count=2, answer_at=10.0)
    assert [(vote.answer, vote.samples, vote.weight) for vote in solution.tally.votes] == [(42, 2, 2.0)]
