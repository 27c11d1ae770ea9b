"""A run whose samples might run Python and do not is told so once, and everybody who watches it hears of it."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from agent.events import Event, ProblemSolved, RunWarning, SampleEnded, TextGenerated
from agent.journal.journal import read_run
from agent.policy.no_code import FIRST_PROBLEMS, LEAST_SAMPLES, NoCodeWatch
from agent.types import Problem, Sample, SampleEnd, Turn
from agent.views.plain import PlainView
from tests.support.agents import own_number, scripted
from tests.support.doubles import ScriptedEngine
from tests.support.samples import sample, solution, tool_run
from tests.support.virtual_time import run_virtual
from tools.report.data import load_run
from tools.report.html_page import page

RAN = sample(7, turns=(Turn("text", 3, 1.0, "", tool_run()),))
PLAIN = [sample(7) for _ in range(LEAST_SAMPLES)]


def warnings(problems: Sequence[Sequence[Sample]], family: str = "qwq", watch: NoCodeWatch | None = None) -> list[int]:
    """The problems, from 1, at whose end there was a warning."""
    heard: list[Event] = []
    listener = (watch or NoCodeWatch()).watched(heard.append, family, lambda: 12.5)
    found = []
    for number, samples in enumerate(problems, 1):
        for each in samples:
            listener(TextGenerated("p1", 0, "so", 1))  # which does not concern it, and is passed on
            listener(SampleEnded(each))
        listener(ProblemSolved(solution()))
        if isinstance(heard[-1], RunWarning):
            assert isinstance(heard[-2], ProblemSolved) and heard[-1].at == 12.5
            found.append(number)
    return found


def test_a_run_without_code_is_told_after_its_first_problems_and_once() -> None:
    assert warnings([PLAIN] * 9) == [FIRST_PROBLEMS]


@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_sample_that_ran_code_is_enough(place: int) -> None:
    problems = [list(PLAIN) for _ in range(FIRST_PROBLEMS)]
    problems[place].append(RAN)
    assert warnings([*problems, *[PLAIN] * 5]) == []


def test_nobody_is_told_on_the_word_of_a_few_samples() -> None:
    few = [[sample(7)]] * (LEAST_SAMPLES + 2)
    assert warnings(few) == [LEAST_SAMPLES]
    assert warnings([[sample(None, end=SampleEnd.CANCELLED)]] * 20) == []


def test_a_run_whose_samples_may_run_no_code_is_told_nothing() -> None:
    assert warnings([PLAIN] * 9, family="") == []


def test_a_resumed_run_counts_what_it_has_recorded_and_is_not_told_again() -> None:
    def resumed(samples: Sequence[Sample], problems: int) -> list[int]:
        watch = NoCodeWatch()
        watch.resume(samples, problems)
        return warnings([PLAIN] * 5, watch=watch)

    assert resumed(PLAIN, FIRST_PROBLEMS - 1) == [1]
    assert resumed(PLAIN, FIRST_PROBLEMS) == []
    assert resumed([RAN], 1) == []


@pytest.mark.parametrize(("keys", "told"), [({}, 1), ({"sample__tools": False}, 0), ({"sample__max_rounds": 0}, 0)])
def test_it_is_an_event_of_the_run_in_its_journal_report_and_view(
    tmp_path: Path, keys: dict[str, Any], told: int
) -> None:
    problems = [Problem(f"p{number}", f"Problem {number}?") for number in range(5)]
    stream = io.StringIO()

    async def main() -> None:
        view = PlainView(Console(file=stream, width=300), len(problems), asyncio.get_running_loop().time, {})
        settings: dict[str, Any] = {"sample__count": 4, "stopping__rule": "wait-for-all", **keys}
        async with scripted(ScriptedEngine(own_number), **settings) as agent:
            await agent.solve_all(problems, run_dir=tmp_path / "run", listeners=[view])

    run_virtual(main())
    record = read_run(tmp_path / "run")
    assert len(record.warnings) == told and record.unreadable == 0
    assert stream.getvalue().count("ran Python: set sample.family") == told
    shown = "".join(page([load_run(tmp_path / "run")], iter))
    assert shown.count("ran Python: set sample.family") == told
