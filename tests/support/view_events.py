"""Events, a clock and a terminal for tests of the views."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from agent.types import Problem, Sample, SampleEnd, Solution, StopReason
from agent.views.live import LiveView
from tests.support import samples

TRUTHS = {"a": 42, "b": 8, "c": None}
LATEX = Problem("a", r"Let $ABC$ be a triangle with $[ABC] = 12$ and $[/bold]$ nonsense")


class Clock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def sample(
    index: int,
    answer: int | None,
    end: SampleEnd = SampleEnd.ANSWERED,
    *,
    forced: bool = False,
    problem_id: str = "a",
) -> Sample:
    return samples.sample(answer, problem_id=problem_id, index=index, turns=(), end=end, forced=forced)


def solution(problem_id: str, votes: dict[int, int], stop: StopReason = StopReason.MARGIN) -> Solution:
    cost = {"tokens": 12_345, "tool_runs": 3, "seconds": 41.2, "at": 41.2}
    return samples.solution(problem_id, votes, stop=stop, samples_started=8, samples_finished=8, **cost)


def terminal(width: int = 80, height: int = 24) -> Console:
    return Console(
        file=io.StringIO(),
        force_terminal=True,
        width=width,
        height=height,
        color_system=None,
        _environ={"TERM": "xterm-256color"},
    )


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def frame(view: LiveView, width: int = 80, height: int = 24) -> list[str]:
    console = terminal(width, height)
    console.print(view)
    return [line.rstrip() for line in written(console).splitlines()]
