"""Problems as Python code gives them: `Problem` records or their texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from agent.errors import InputError
from agent.problems.reader import check_text
from agent.types import Problem


def single_problem(given: Problem | str) -> Problem:
    """The one problem that was given, by the id "problem" if as a text. Raises InputError if it cannot be asked."""
    if isinstance(given, str):
        check_text(given)
    return _problem(given, "problem", "the problem")


def listed_problems(given: Iterable[Problem | str]) -> list[Problem]:
    """The problems that were given, with their positions from 1 as the ids of texts.

    Raises InputError for what is not a list of problems, for one that cannot be asked and for a repeated id.
    """
    # Iterating over a table or a mapping gives the names of its columns or its keys, which would pass for problems.
    is_table = isinstance(given, (str, bytes, Mapping)) or hasattr(given, "columns")
    if is_table or not isinstance(given, Iterable):
        raise InputError(
            f"problems are given in a list of texts or of agent.Problem, not as {type(given).__name__}: write "
            "[problem] for a single one, [*table.problem] for a column, or "
            "read a file with agent.problems.reader.load_problems"
        )
    problems = [_problem(each, str(place), f"problem {place}") for place, each in enumerate(given, start=1)]
    for id_, count in Counter(problem.id for problem in problems).items():
        if count > 1:
            raise InputError(f"{count} problems have the id {id_!r}: give each one its own")
    return problems


def _problem(given: object, id_: str, name: str) -> Problem:
    problem = Problem(id_, given) if isinstance(given, str) else given
    if not isinstance(problem, Problem):
        raise InputError(f"{name} is given as {type(given).__name__}: give its text or an agent.Problem")
    for part, value in (("id", problem.id), ("text", problem.text)):
        if not isinstance(value, str):
            raise InputError(f"{name} has the {part} {value!r}, which is not a string: write it as one")
    check_text(problem.text, f"problem {problem.id!r}")
    return problem
