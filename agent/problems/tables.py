"""Problems as pandas holds them: a DataFrame with the columns of a problem file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from agent.problems.columns import find_columns
from agent.problems.reader import problems_of_rows
from agent.problems.rows import Row
from agent.types import Problem

if TYPE_CHECKING:
    import pandas as pd

_SOURCE = Path("the table")  # as which errors name it


def is_table(given: object) -> TypeGuard[pd.DataFrame]:
    """Whether it is a DataFrame of pandas, which is not imported for that."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(given, pandas.DataFrame)


def problems_of_table(table: pd.DataFrame) -> list[Problem]:
    """The problems of the table's rows, perhaps none, by the columns and the rules of `load_problems`.

    Raises InputError, naming the row, if anything is invalid.
    """
    return problems_of_rows(_SOURCE, _rows(table))


def _rows(table: pd.DataFrame) -> Iterator[Row]:
    columns = find_columns(_SOURCE, "header", [str(name) for name in table.columns])
    table = table.set_axis([str(name) for name in table.columns], axis="columns")
    wanted = table[list(columns.wanted)].astype(object)
    filled = wanted.where(wanted.notna(), None)
    for number, values in enumerate(filled.itertuples(index=False, name=None), start=1):
        yield Row(f"row {number}", columns, dict(zip(columns.wanted, map(_plain, values), strict=True)))


def _plain(value: Any) -> object:
    """A scalar of numpy as one of Python."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value
