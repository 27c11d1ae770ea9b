"""Files of problems that are written can be read back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings

from agent.errors import InputError
from agent.problems.reader import load_problems
from agent.problems.writer import append_problem, write_problems
from agent.types import Problem
from tests.support.texts.any_problems import PROBLEMS

KEPT = [Problem("a1", "What is $1-1$?", 0), Problem("b2", 'Say "2", then\n3.', None)]


@given(problems=PROBLEMS)
@settings(deadline=None)  # a disk may be slow once
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, problems: list[Problem]) -> None:
    path = tmp_path_factory.getbasetemp() / "written.csv"
    write_problems(problems, path)
    assert load_problems(path) == problems
    write_problems(problems[:1], path)
    for problem in problems[1:]:
        append_problem(problem, path)
    assert load_problems(path) == problems


UNREADABLE = [Problem("a", " \n"), Problem("", "?"), Problem("a", "\0"), Problem("\udc80", "?")]


@pytest.mark.parametrize("problems", [[], [KEPT[0], KEPT[0]], *([problem] for problem in UNREADABLE)])
def test_what_could_not_be_read_back_is_not_written(tmp_path: Path, problems: list[Problem]) -> None:
    write_problems(KEPT, tmp_path / "kept.csv")
    with pytest.raises(InputError, match=r"kept\.csv"):
        write_problems(problems, tmp_path / "kept.csv")
    for problem in set(problems) - set(KEPT):
        with pytest.raises(InputError, match=r"kept\.csv"):
            append_problem(problem, tmp_path / "kept.csv")
    assert load_problems(tmp_path / "kept.csv") == KEPT
    with pytest.raises(InputError, match=r"a\.jsonl: "):
        write_problems(KEPT, tmp_path / "a.jsonl")
