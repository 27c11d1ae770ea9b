"""Where time went and what became of problems, against counting moments one by one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.journal.journal import JOURNAL_FILE
from agent.types import Problem, Sample, SampleEnd, StopReason, ToolRun, ToolStatus, Turn
from tests.support.runs.report_runs import solved, vote, write_run
from tests.support.samples import sample
from tools.report.data import (
    ProblemStatus,
    Span,
    VoteStatus,
    intersection,
    lane_turns,
    load_run,
    time_split,
    total,
    union,
)

SPANS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)).map(sorted).map(tuple), max_size=6)


def moments(spans: list[Span]) -> set[int]:
    return {second for begin, end in spans for second in range(int(begin), int(end))}


@given(SPANS, SPANS)
def test_spans_are_sets_of_moments(first: list[Span], second: list[Span]) -> None:
    assert moments(union(first)) == moments(first)
    assert total(union(first)) == len(moments(first))
    both = intersection(union(first), union(second))
    assert moments(both) == moments(first) & moments(second)
    assert both == union(both)


def lane(started: int, turns: list[tuple[int, int]]) -> Sample:
    """A sample of turns of so many seconds of text and of Python (0: none)."""
    written = tuple(
        Turn("", 1, float(text), tool_run=ToolRun("", "", ToolStatus.OK, float(tool)) if tool else None)
        for text, tool in turns
    )
    return replace(sample(1), turns=written, started=float(started), seconds=float(sum(map(sum, turns))))


LANES = st.lists(
    st.builds(lane, st.integers(0, 8), st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=4)),
    max_size=4,
)


@given(LANES, SPANS)
def test_time_split_counts_each_second_once(lanes: list[Sample], spans: list[Span]) -> None:
    split = time_split(lanes, spans)
    within = moments(spans)
    writing = [moments([turn.generating for turn in lane_turns(each)]) & within for each in lanes]
    running = moments([turn.tool for each in lanes for turn in lane_turns(each) if turn.tool]) & within
    generating = set().union(*writing) if writing else set()
    assert split.generating == pytest.approx(len(generating))
    assert split.tools == pytest.approx(len(running - generating))
    assert split.other == pytest.approx(len(within - running - generating))
    assert split.wall == pytest.approx(len(within))
    assert split.lanes * len(generating) == pytest.approx(sum(map(len, writing)))


def test_lanes_that_take_turns_at_python_keep_the_engine_busy() -> None:
    split = time_split([lane(0, [(2, 2)]), lane(2, [(2, 0)])], [(0.0, 6.0)])
    assert (split.generating, split.tools, split.other, split.lanes) == (4.0, 0.0, 2.0, 1.0)
    split = time_split([lane(0, [(2, 2)]), lane(0, [(2, 1)])], [(0.0, 5.0)])
    assert (split.generating, split.tools, split.other, split.lanes) == (2.0, 2.0, 1.0, 2.0)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    problems = [Problem("right", "?", 7), Problem("wrong", "?", 7), Problem("silent", "?", 7), Problem("new", "?")]
    votes = {"right": [vote(0, 7)], "wrong": [vote(0, 8)], "silent": [vote(0, None)], "new": [vote(0, 7)]}
    return write_run(tmp_path / "run", [*problems, Problem("open", "?", 1)], votes)


def test_what_became_of_each_problem(directory: Path) -> None:
    run = load_run(directory)
    assert [problem.outcome for problem in run.problems] == [
        ProblemStatus.RIGHT,
        ProblemStatus.WRONG,
        ProblemStatus.NO_ANSWER,
        ProblemStatus.UNKNOWN,
        ProblemStatus.OPEN,
    ]
    assert [p.verdict(p.samples[0]) for p in run.problems if p.samples] == [
        VoteStatus.RIGHT,
        VoteStatus.WRONG,
        VoteStatus.NO_VOTE,
        VoteStatus.UNKNOWN,
    ]
    assert (run.sums.correct, run.sums.known, run.sums.answered, run.sums.closed) == (1, 3, 3, 4)
    assert run.problems[1].span == (10.0, 20.0)
    assert (run.problems[4].span, run.problems[4].allowance) == ((0.0, 0.0), 60.0)


def test_a_problem_that_is_not_closed_spans_its_samples(tmp_path: Path) -> None:
    drawn = [vote(0, 1, started=5.0, seconds=4.0), vote(1, 1, started=3.0, seconds=1.0)]
    run = load_run(write_run(tmp_path / "run", [Problem("p", "?", 1)], {"p": drawn}, closed=()))
    assert run.problems[0].span == (3.0, 9.0)


def test_the_last_solution_counts_and_cancelled_samples_are_no_attempts(tmp_path: Path) -> None:
    drawn = [vote(1, 1), vote(0, None, end=SampleEnd.CANCELLED)]
    owed = solved("p", [], stop=StopReason.ENGINE_ERROR)
    run = load_run(
        write_run(tmp_path / "run", [Problem("p", "?", 1)], {"p": drawn}, closed=[owed, solved("p", drawn[:1])])
    )
    assert run.problems[0].outcome is ProblemStatus.RIGHT
    assert [s.index for s in run.problems[0].samples] == [0, 1]
    assert [s.index for s in run.problems[0].counted] == [1]


def test_unreadable_lines_are_counted_and_engine_events_put_in_order(directory: Path) -> None:
    with (directory / JOURNAL_FILE).open("a") as file:
        for at in (9.0, 4.0):
            file.write(json.dumps({"kind": "engine", "text": "restarted", "at": at}) + "\n")
        file.write("torn {\n")
    run = load_run(directory)
    assert run.record.unreadable == 1
    assert [event.at for event in run.engine_events] == [4.0, 9.0]
