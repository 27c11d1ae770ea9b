"""What a run learns of a problem, and that it learns the same when it is resumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent.config import load_config
from agent.events import ProblemSolved
from agent.hardware.roofline import HARDWARE
from agent.journal.journal import Journal, create_run, read_run
from agent.policy.budget import grant
from agent.policy.planning.learnt import learnt_of
from agent.policy.planning.plan import RunSoFar
from agent.policy.planning.price import plan_by_price
from agent.policy.planning.speed import TimedLanes, learnt_speed
from agent.policy.settings import BudgetConfig
from agent.types import Learnt, Problem, SampleEnd
from tests.support.runs.recordings import setting, write_traces
from tests.support.samples import sample, solution
from tools.replay.recordings import load_recordings
from tools.replay.run import play_run, replay_config

LONG = sample(None, tokens=900, seconds=30.0, end=SampleEnd.DEADLINE)


def test_the_first_vote_that_is_no_guess_tells_how_far_all_lanes_had_come() -> None:
    first, later = sample(1, tokens=300, seconds=10.0), sample(2, tokens=500, seconds=16.0)
    assert learnt_of([LONG, later, first], was_down=False) == Learnt(3, 300, 10.0, voted=True)


def test_without_a_vote_the_longest_lane_tells() -> None:
    short, forced = sample(None, tokens=300, seconds=10.0), replace(LONG, answer=7, forced=True)
    assert learnt_of([short, LONG, forced], was_down=False) == Learnt(3, 900, 30.0, voted=False)


@pytest.mark.parametrize("end", SampleEnd)
def test_a_lane_that_had_ended_by_itself_and_was_asked_has_voted_and_one_that_was_cut_has_guessed(
    end: SampleEnd,
) -> None:
    asked = sample(7, tokens=300, seconds=10.0, end=end, forced=True)
    learnt = learnt_of([LONG, asked], was_down=False)
    assert learnt is not None
    assert learnt.voted is (end is SampleEnd.NO_ANSWER)


def test_a_problem_taken_up_again_after_a_vote_tells_nothing_and_one_without_tells_of_the_lanes_of_its_last_try() -> (
    None
):
    vote, none = sample(1, tokens=300, seconds=10.0), sample(None, tokens=400, seconds=14.0)
    guess = replace(LONG, answer=7, forced=True)
    later = sample(2, tokens=900, seconds=30.0, started=200.0)
    assert learnt_of([none, vote, later], 2, was_down=False) is None
    assert learnt_of([vote], 1, was_down=False) is None
    assert learnt_of([none, guess, later, later], 2, was_down=False) == Learnt(2, 900, 30.0, voted=True)


def test_lanes_that_started_after_others_had_ended_are_no_lanes_of_the_first() -> None:
    first, spare = sample(None, tokens=300, seconds=10.0), sample(3, tokens=200, seconds=8.0, started=10.0)
    assert learnt_of([first, first, spare], was_down=False) == Learnt(2, 200, 8.0, voted=True)


def test_time_in_which_the_engine_was_down_is_not_learnt_of() -> None:
    assert learnt_of([LONG], was_down=True) == Learnt(1, 900, None, voted=False)


@pytest.mark.parametrize(("seconds", "told"), [(0.0, None), (0.25, 0.25)])
def test_a_vote_that_took_no_time_is_a_lanes_and_tells_no_speed(seconds: float, told: float | None) -> None:
    learnt = learnt_of([sample(1, tokens=300, seconds=seconds)], was_down=False)
    assert learnt == Learnt(1, 300, told, voted=True)
    assert plan_by_price(RunSoFar(3_000, 9, 360.0, 16, (solution(learnt=learnt),)), BudgetConfig()).seconds > 0


def test_nothing_is_learnt_where_nothing_was_written() -> None:
    lost = sample(None, tokens=5, end=SampleEnd.ENGINE_ERROR)
    assert learnt_of([], was_down=False) is None
    assert learnt_of([sample(None, tokens=0), lost], was_down=False) is None


@pytest.mark.parametrize(("answers", "asked", "agreed"), [((1, 1, 2), 3, 1), ((1, 2), 0, 0), ((), 0, 0)])
def test_forced_answers_are_compared_with_the_answer_that_most_finished_lanes_gave(
    answers: tuple[int, ...], asked: int, agreed: int
) -> None:
    forced = [replace(LONG, answer=answer, forced=True) for answer in (1, 3, None)]
    learnt = learnt_of([*(sample(answer) for answer in answers), *forced], was_down=False)
    assert learnt is not None
    assert (learnt.asked, learnt.agreed) == (asked, agreed)


def test_a_resumed_run_plans_as_one_that_was_not_interrupted(tmp_path: Path) -> None:
    config = load_config("qwq", {"budget.planner": "price"})
    problems = [Problem(str(number), "text") for number in range(3)]
    learnt = [Learnt(16, 8_000, 300.0, voted=True), Learnt(8, 20_000, None, voted=False, asked=3, agreed=1), None]
    solved = [solution(str(number), learnt=each, votes={7: 2}) for number, each in enumerate(learnt)]
    create_run(tmp_path / "run", config, problems)
    journal = Journal(tmp_path / "run")
    for each in solved:
        journal(ProblemSolved(each))
    journal.close()
    read = list(read_run(tmp_path / "run").solved.values())
    assert grant(9_000, 20, config, read) == grant(9_000, 20, config, solved) != grant(9_000, 20, config)


def test_a_run_learns_the_speed_of_its_machine(tmp_path: Path) -> None:
    """In virtual time: 30 tokens a second in each lane, as many as may run."""
    recording = load_recordings([write_traces(tmp_path / "model.jsonl")])[0]
    chosen = setting(12 * 100.0)
    outcomes, samples = play_run(replay_config("price", recording, chosen), recording, chosen, 0)
    told = [learnt for drawn in samples if (learnt := learnt_of(drawn, was_down=False)) is not None]
    assert len(told) > len(samples) / 2
    assert [learnt.seconds for learnt in told] == [pytest.approx(learnt.tokens / 30, rel=0.01) for learnt in told]
    assert sum(outcome.seconds for outcome in outcomes) <= 12 * 100.0


@pytest.mark.parametrize(("name", "within"), [("kaggle-l4x4", 0.15), ("kaggle-h100", 0.15), ("two-cores", 0.25)])
def test_half_of_a_run_in_virtual_time_tells_how_fast_the_lanes_of_the_other_half_are(
    name: str, within: float, tmp_path: Path
) -> None:
    recording = load_recordings([write_traces(tmp_path / "model.jsonl")])[0]
    hardware = HARDWARE[name]
    chosen = replace(setting(12 * hardware.seconds(5_000, 8)), hardware=hardware)
    _, samples = play_run(replay_config("price", recording, chosen), recording, chosen, 0)
    told = [learnt for drawn in samples if (learnt := learnt_of(drawn, was_down=False)) is not None]
    timed = [TimedLanes(each.lanes, each.tokens, each.seconds) for each in told if each.seconds is not None]
    half = len(timed) // 2
    assert half >= 3
    speed = learnt_speed(timed[:half])
    for each in timed[half:]:
        assert speed.seconds(each.tokens, each.lanes) == pytest.approx(each.seconds, rel=within)
