"""Runs of an agent: many problems, listeners, directories that are resumed, what is refused."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from agent import Agent, Problem
from agent.errors import EngineError, InputError
from agent.events import EngineEvent, Event, ProblemSolved, ProblemStarted
from agent.journal.journal import ANSWERS_FILE, read_run
from agent.types import StopReason
from tests.support.agents import PROBLEMS, own_number, scripted
from tests.support.doubles import ScriptedEngine, ScriptedSandbox, config_with
from tests.support.virtual_time import run_virtual


def test_several_problems_are_recorded_and_reported_to_listeners(tmp_path: Path) -> None:
    told: list[Event] = []

    async def main() -> None:
        solver = scripted(ScriptedEngine(own_number))
        solutions = await solver.solve_all(PROBLEMS, run_dir=tmp_path / "run", listeners=[told.append])
        assert [solution.answer for solution in solutions] == [1, 2, 3]

    run_virtual(main())
    record = read_run(tmp_path / "run")
    assert list(record.problems) == PROBLEMS
    assert [solution.answer for solution in record.solutions] == [1, 2, 3]
    assert tuple(event.solution for event in told if isinstance(event, ProblemSolved)) == record.solutions
    assert (tmp_path / "run" / ANSWERS_FILE).read_text() == "id,answer\np1,1\np2,2\np3,3\n"


def test_texts_are_called_by_their_place() -> None:
    async def main() -> list[str]:
        solutions = await scripted(ScriptedEngine(own_number)).solve_all(["Problem 4?", "Problem 5?"])
        return [f"{solution.problem_id}: {solution.answer}" for solution in solutions]

    assert run_virtual(main()) == ["1: 4", "2: 5"]


@pytest.mark.parametrize(
    ("problems", "message"),
    [
        (["Problem 1?", " "], "problem '2' is empty"),
        (["Problem\0"], "NUL"),
        ([PROBLEMS[0], PROBLEMS[0]], "2 problems have the id 'p1'"),
        ("Problem 1?", "given in a list .* not as str"),
        ({"problem": "Problem 1?"}, "given in a list .* not as dict"),
        (pd.DataFrame({"id": ["p1"], "problem": ["Problem 1?"]}), "given in a list .* not as DataFrame"),
        (None, "given in a list .* not as NoneType"),
        (["Problem 1?", None], "problem 2 is given as NoneType: give its text"),
        ([("p1", "Problem 1?")], "problem 1 is given as tuple"),
        ([Problem(1, "Problem 1?")], "problem 1 has the id 1, which is not a string"),  # type: ignore[arg-type]
        ([Problem("p1", None)], "problem 1 has the text None, which is not a string"),  # type: ignore[arg-type]
    ],
)
async def test_problems_that_cannot_be_asked_are_refused(problems: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        await scripted(ScriptedEngine(own_number)).solve_all(problems)


@pytest.mark.parametrize(
    ("problem", "message"), [("", "the problem is empty"), (["Problem 1?"], "the problem is given as list")]
)
async def test_a_single_problem_that_cannot_be_asked_is_refused(problem: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        await scripted(ScriptedEngine(own_number)).solve(problem)


def test_a_column_of_texts_is_a_list_of_problems() -> None:
    table = pd.DataFrame({"problem": ["Problem 4?", "Problem 5?"]})
    solutions = run_virtual(scripted(ScriptedEngine(own_number)).solve_all(table["problem"]))
    assert [solution.answer for solution in solutions] == [4, 5]


def test_each_run_has_the_whole_time_limit() -> None:
    async def main() -> list[StopReason]:
        solver = scripted(ScriptedEngine(lambda prompt, params: "word " * 500), budget__time_limit_seconds=40)
        return [(await solver.solve("Problem 1?")).stop for _ in range(3)]

    assert run_virtual(main()) == [StopReason.DEADLINE] * 3


def test_a_resumed_run_gives_listeners_what_was_solved_before(tmp_path: Path) -> None:
    engine = ScriptedEngine(own_number)
    solved: list[str] = []
    started: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, ProblemSolved):
            solved.append(event.solution.problem_id)
        elif isinstance(event, ProblemStarted):
            started.append(event.problem.id)

    async def main() -> None:
        solver = scripted(engine)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(6):
                await solver.solve_all(PROBLEMS, run_dir=tmp_path)
        assert 0 < len(read_run(tmp_path).solved) < 3
        with pytest.raises(InputError, match="already holds a run"):
            await solver.solve_all(PROBLEMS, run_dir=tmp_path)
        solutions = await solver.solve_all(PROBLEMS, run_dir=tmp_path, resume=True, listeners=[listen])
        assert [solution.answer for solution in solutions] == [1, 2, 3]

    run_virtual(main())
    assert sorted(solved) == ["p1", "p2", "p3"]
    assert solved[0] == "p1" and "p1" not in started
    assert len(read_run(tmp_path).solutions) == 3


@pytest.mark.parametrize(
    ("keys", "problems", "message"),
    [
        ({}, PROBLEMS[:2], "has other problems"),
        ({"sample__count": 3}, PROBLEMS, "another sample.count"),
        ({"engine__model": "other"}, PROBLEMS, "was started with the model"),
    ],
)
def test_another_run_is_not_resumed(
    keys: dict[str, Any], problems: list[Problem], message: str, tmp_path: Path
) -> None:
    async def main() -> None:
        await scripted(ScriptedEngine(own_number)).solve_all(PROBLEMS, run_dir=tmp_path)
        before = (tmp_path / "journal.jsonl").read_bytes()
        with pytest.raises(InputError, match=message):
            await scripted(ScriptedEngine(own_number), **keys).solve_all(problems, run_dir=tmp_path, resume=True)
        assert (tmp_path / "journal.jsonl").read_bytes() == before

    run_virtual(main())


def test_what_a_resumed_run_may_change_is_recorded(tmp_path: Path) -> None:
    async def main() -> None:
        await scripted(ScriptedEngine(own_number)).solve_all(PROBLEMS, run_dir=tmp_path)
        faster = scripted(ScriptedEngine(own_number), problems_in_flight=3)
        await faster.solve_all(PROBLEMS, run_dir=tmp_path, resume=True)

    run_virtual(main())
    assert [change.changed for change in read_run(tmp_path).changes] == [{"problems_in_flight": 3}]


async def test_a_run_is_resumed_from_a_directory_alone() -> None:
    with pytest.raises(InputError, match="give its run_dir"):
        await scripted(ScriptedEngine(own_number)).solve_all(PROBLEMS, resume=True)


async def test_a_cancelled_run_ends_its_lanes_and_releases_its_directory(tmp_path: Path) -> None:
    engine = ScriptedEngine(own_number, seconds=30.0)
    solver = scripted(engine)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await solver.solve_all(PROBLEMS, run_dir=tmp_path)
    assert engine.running == 0
    assert not (tmp_path / "run.lock").exists()


def test_engine_events_go_to_the_runs_under_way_else_to_the_caller(tmp_path: Path) -> None:
    outside: list[str] = []
    told: list[Event] = []

    async def main() -> None:
        engine = ScriptedEngine(own_number)
        solver = Agent(config_with(sample__count=2), engine, ScriptedSandbox(), on_engine_event=outside.append)
        loop = asyncio.get_running_loop()
        loop.call_later(1.5, setattr, engine, "down", True)
        loop.call_later(40.0, setattr, engine, "down", False)
        await solver.solve_all(PROBLEMS, run_dir=tmp_path, listeners=[told.append])
        engine.down = True
        with pytest.raises(EngineError):
            async with asyncio.timeout(90):
                await solver.start()

    run_virtual(main())
    events = [event for event in told if isinstance(event, EngineEvent)]
    assert "waiting for the engine: " in events[0].text and events[0].at < 5
    assert tuple(events) == read_run(tmp_path).engine_events
    assert not set(outside) & {event.text for event in events}


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("run_dir", ["", 3, b"run", False, ["run"]])
async def test_what_names_no_directory_is_refused_and_nothing_is_solved(run_dir: Any, resume: bool) -> None:
    engine = ScriptedEngine(own_number)
    with pytest.raises(InputError, match=rf"run_dir is {re.escape(repr(run_dir))}, which names no directory"):
        await scripted(engine).solve("Problem 1?", run_dir=run_dir, resume=resume)
    assert engine.prompts == []
