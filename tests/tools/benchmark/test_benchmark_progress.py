"""What a benchmark shows while it runs."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from rich.console import Console

from agent.events import EngineEvent, HealthChecked, ProblemSolved, ProblemStarted, SampleEnded, TextGenerated
from agent.types import SampleEnd
from tests.support.doubles import PROBLEM
from tests.support.samples import sample, solution
from tools.benchmark.progress import grading, sampling_view

SOLUTION = solution(PROBLEM.id, {})


def drawn(console: Console, clock: Callable[[], float]) -> None:
    """Two samples of one question, one of which failed; another question was closed by an earlier call."""
    with sampling_view(6, 2, clock)([PROBLEM] * 3, console) as view:
        view(ProblemSolved(solution("earlier", {})))
        view(ProblemStarted(PROBLEM, "prompt", 10.0, 2))
        view(TextGenerated(PROBLEM.id, 0, "", 1_500))
        view(SampleEnded(sample(None)))
        view(SampleEnded(sample(None, end=SampleEnd.ENGINE_ERROR)))
        view(ProblemSolved(SOLUTION))
        view(EngineEvent("the engine [was] restarted", 1.0))
        view(HealthChecked(1, 2, 41.2, changed={"vllm.enforce_eager": True}))


def test_a_terminal_gets_a_bar_with_the_samples_that_count() -> None:
    ticks = iter(range(100))
    output = io.StringIO()
    drawn(Console(file=output, force_terminal=True, width=120, color_system=None), lambda: float(next(ticks)))
    assert "3/6" in output.getvalue()
    assert "1,500 tokens, 1,500/s" in output.getvalue()


def test_elsewhere_each_question_of_this_call_is_a_line() -> None:
    output = io.StringIO()
    drawn(Console(file=output), lambda: 0.0)
    assert output.getvalue().splitlines() == [
        "question 2 of 3: 1,500 tokens so far",
        "the engine [was] restarted",
        "model checked: 1 of 2 easy problems right, 41 s; set for its sake: vllm.enforce_eager = True",
    ]


@pytest.mark.parametrize(("total", "done", "lines"), [(3, 0, 3), (200, 100, 5), (1, 1, 0)])
def test_grading_tells_each_tenth_where_there_is_no_bar(total: int, done: int, lines: int) -> None:
    output = io.StringIO()
    with grading(Console(file=output), total, done) as count:
        for _ in range(total - done):
            count()
    told = output.getvalue().splitlines()
    assert len(told) == lines
    if lines:
        assert told[-1] == f"{total} of {total} samples graded"
