"""Problems as a table of texts: ids and problems are strings at Kaggle, whatever numbers they may look like."""

from __future__ import annotations

import csv
from pathlib import Path

import polars as pl

from agent.problems.reader import load_problems


def read_table(path: Path) -> pl.DataFrame:
    """The columns `id` and `problem` of a problem file, as they stand. Raises InputError for a file not usable.

    Not read by polars, which takes `000123` for a number, as it does a column whose first hundred ids are digits.
    """
    problems = load_problems(path)
    columns = {"id": [problem.id for problem in problems], "problem": [problem.text for problem in problems]}
    return pl.DataFrame(columns, schema={"id": pl.String, "problem": pl.String})


def write_table(table: pl.DataFrame, path: Path) -> None:
    """Write as CSV, quoted so that blanks and line ends inside a field survive."""
    table.write_csv(path, quote_style="always")


def column_names(path: Path) -> list[str]:
    """The names in the first line of a CSV file."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return next(csv.reader(file), [])
