"""A table that is wider than the terminal is shown whole, in several."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from tests.support.tiers.cases import examples
from tools.shared.wide_tables import fitting_tables


def scores(recordings: int) -> tuple[Table, list[str]]:
    """A table of two policies, and what all of its cells say."""
    table = Table(title="scores", caption="what they mean")
    table.add_column("policy")
    for name in (*(f"model-{place}" for place in range(recordings)), "mean", "interval"):
        table.add_column(name, justify="right")
    texts = []
    for policy in ("price", "margin-3"):
        row = [policy, *(f"{policy[0]}{place}.25" for place in range(recordings)), f"{policy[0]}m", f"{policy[0]} to 9"]
        table.add_row(*row)
        texts += row
    return table, [*texts, *(str(column.header) for column in table.columns)]


def printed(table: Table, recordings: int, width: int) -> list[str]:
    out = Console(file=io.StringIO(), width=width)
    for part in fitting_tables(table, range(1, 1 + recordings), out):
        out.print(part)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue().splitlines()


@given(recordings=st.integers(0, 20), width=st.integers(50, 250))
@examples(60)
def test_no_cell_is_cut_whatever_the_width(recordings: int, width: int) -> None:
    table, texts = scores(recordings)
    lines = printed(table, recordings, width)
    assert all(len(line) <= width for line in lines)
    together = "\n".join(lines)
    assert "…" not in together
    for text in texts:
        assert text in together, text


@pytest.mark.parametrize(("width", "tables"), [(200, 1), (80, 3)])
def test_a_table_that_fits_stays_one(width: int, tables: int) -> None:
    table, _ = scores(10)
    parts = fitting_tables(table, range(1, 11), Console(width=width))
    assert len(parts) == tables
    assert (parts[0].title, parts[0].caption) == ("scores", "what they mean")
    assert [part.title for part in parts[1:]] == [None] * (tables - 1)
