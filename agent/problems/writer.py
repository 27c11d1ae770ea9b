"""Write problems as CSV that `load_problems` reads back."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from agent.errors import InputError
from agent.files.whole_file import write_whole
from agent.problems.reader import parse_csv
from agent.types import Problem


def write_problems(problems: Sequence[Problem], path: Path) -> None:
    """Write one or more problems as a .csv file that `load_problems` reads back as equal problems.

    Raises InputError, before the file is touched, for a problem that could not be read back: an empty or
    repeated id, an empty text, a NUL or half a surrogate pair. Raises OSError if the file cannot be written.
    """
    if path.suffix.lower() != ".csv":
        raise InputError(f"{path}: problems are written as CSV: give a file name that ends in .csv")
    text = _header() + _rows(problems)
    if not parse_csv(path, text):
        raise InputError(f"{path}: there are no problems to write: give at least one")
    write_whole(path, text)


def append_problem(problem: Problem, path: Path) -> None:
    """Append a problem with a new id to a file written by `write_problems`. Raises as that does."""
    row = _rows([problem])
    parse_csv(path, _header() + row)
    write_whole(path, path.read_bytes().decode("utf-8") + row)


def _header() -> str:
    return _csv([("id", "problem", "answer")])


def _rows(problems: Sequence[Problem]) -> str:
    return _csv([(problem.id, problem.text, problem.answer) for problem in problems])


def _csv(rows: Sequence[tuple[object, ...]]) -> str:
    buffer = io.StringIO()
    # A lone carriage return must be quoted to survive, which QUOTE_MINIMAL does not do in all Python versions.
    csv.writer(buffer, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerows(rows)
    return buffer.getvalue()
