"""The practice set: every answer is computed anew; complete, plain, in range, and solved under its name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.cli.arguments import parse_arguments
from agent.cli.run_spec import make_run_spec
from agent.editions import EDITIONS
from agent.errors import InputError
from agent.problems.reader import BUNDLED, practice_problems, starter_problems
from agent.problems.writer import write_problems
from agent.types import Problem
from tests.agent.problems import test_starter
from tests.support.practice import algebra as practice_algebra
from tests.support.practice import combinatorics as practice_combinatorics
from tests.support.practice import geometry as practice_geometry
from tests.support.practice import numbers as practice_numbers
from tests.support.tiers.cases import quick_cases

FIELDS = [module.PROOFS for module in (practice_algebra, practice_combinatorics, practice_geometry, practice_numbers)]
PROOFS = {id_: proof for field in FIELDS for id_, proof in field.items()}
NEW = practice_problems()[12:]


def planned(*arguments: object) -> list[Problem]:
    """The problems of a call of the command."""
    return list(make_run_spec(parse_arguments([*map(str, arguments), "--run-dir", "run"])).problems)


@pytest.mark.parametrize("problem", quick_cases(30, NEW), ids=lambda problem: problem.id)
def test_the_answer_is_right(problem: Problem) -> None:
    assert problem.answer == PROOFS[problem.id]()


def test_it_begins_with_the_starter_problems() -> None:
    assert practice_problems()[:12] == starter_problems()
    assert BUNDLED["practice"].read_text().startswith(BUNDLED["starter"].read_text())


def test_every_problem_has_its_proof_once_and_keeps_its_place() -> None:
    assert [problem.id for problem in NEW] == [f"practice-{number}" for number in range(13, 61)]
    proofs = [id_ for field in FIELDS for id_ in field] + list(test_starter.PROOFS)
    assert sorted(proofs) == sorted(problem.id for problem in practice_problems())


def test_the_fields_are_about_even() -> None:
    assert all(10 <= len(field) <= 13 for field in FIELDS)


def test_ids_and_texts_and_answers_differ() -> None:
    problems = practice_problems()
    assert len({problem.id for problem in problems}) == len(problems) == 60
    assert len({re.sub(r"\W", "", problem.text.lower()) for problem in problems}) == 60
    assert len({problem.answer for problem in problems}) == 60


def test_the_answers_are_valid_and_of_all_sizes() -> None:
    answers = [problem.answer for problem in practice_problems() if problem.answer is not None]
    assert len(answers) == 60
    assert all(0 <= answer <= EDITIONS["aimo3"].max_answer for answer in answers)
    assert all(sum(len(str(answer)) == digits for answer in answers) >= 5 for digits in (2, 3, 4, 5))


@pytest.mark.parametrize("problem", NEW, ids=lambda problem: problem.id)
def test_the_statement_is_short_and_plain_and_does_not_give_the_answer(problem: Problem) -> None:
    text = problem.text
    assert text.isascii()
    assert text.isprintable()
    assert text == text.strip()
    assert "  " not in text
    assert len(text) <= 350
    assert text.count("$") % 2 == 0
    assert all(text.count(opening) == text.count(closing) for opening, closing in ("{}", "()"))
    assert str(problem.answer) not in re.findall(r"\d+", text)


@pytest.mark.parametrize(("name", "size"), [("starter", 12), ("practice", 60)])
def test_a_bundled_set_is_solved_under_its_name(
    name: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a directory is called so; a file with problems has an ending and keeps its meaning."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir()
    own = [Problem("own", "What is $1 + 1$?", 2)]
    write_problems(own, tmp_path / f"{name}.csv")
    assert len(planned("--problems", name)) == size
    assert planned("--problems", f"{name}.csv") == own


@pytest.mark.parametrize("name", ["practise", "Practice", "data/practice", "x" * 5000])
def test_an_unknown_name_is_refused_and_the_sets_are_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"give one of starter, practice, or a CSV"):
        planned("--problems", name)
    assert not (tmp_path / "run").exists()
