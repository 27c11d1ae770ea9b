"""Tables that are wider than the terminal, as several that fit."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

_UNLIMITED = 100_000  # characters: what a table takes where nothing holds it back


def fitting_tables(table: Table, movable: range, console: Console) -> list[Table]:
    """Return the table alone where the console has room for it, else without its `movable` columns, which follow.

    These stand behind the first column in tables of their own, as many in each as fit, but at least one.
    """
    if not movable or _width(table, console) <= console.width:
        return [table]
    rest = [place for place in range(len(table.columns)) if place not in movable]
    tables = [_part(table, rest)]
    tables[0].title, tables[0].caption = table.title, table.caption
    waiting = list(movable)
    while waiting:
        count = len(waiting)
        while count > 1 and _width(_part(table, [0, *waiting[:count]]), console) > console.width:
            count -= 1
        tables.append(_part(table, [0, *waiting[:count]]))
        waiting = waiting[count:]
    return tables


def _width(table: Table, console: Console) -> int:
    return Measurement.get(console, console.options.update(max_width=_UNLIMITED), table).maximum


def _part(table: Table, places: Sequence[int]) -> Table:
    """The table with some of its columns, in this order, without title and caption."""
    part = Table(caption_justify=table.caption_justify)
    for place in places:
        part.add_column(table.columns[place].header, justify=table.columns[place].justify)
    cells = [list(table.columns[place].cells) for place in places]
    for row, content in zip(table.rows, zip(*cells, strict=True), strict=True):
        part.add_row(*content, style=row.style)
    return part
