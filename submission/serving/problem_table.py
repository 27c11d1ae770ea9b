"""Problems as a table of texts: ids and problems are strings at Kaggle, whatever numbers they may look like."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from agent.types import Problem


def table_of(problems: Iterable[Problem]) -> pl.DataFrame:
    """The columns `id` and `problem`, without the answers."""
    rows = [(problem.id, problem.text) for problem in problems]
    return pl.DataFrame(rows, schema={"id": pl.String, "problem": pl.String}, orient="row")


def read_table(path: Path) -> pl.DataFrame:
    """The table that `write_table` wrote.

    Not read by polars, which takes `000123` for a number, as it does a column whose first hundred ids are digits.
    """
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8", newline="") as file:
        return table_of(Problem(row["id"], row["problem"]) for row in csv.DictReader(file, strict=True))


def write_table(table: pl.DataFrame, path: Path) -> None:
    """Write as CSV, quoted so that blanks and line ends inside a field survive."""
    table.write_csv(path, quote_style="always")
