"""Tables as CSV, JSON, Markdown and LaTeX, for papers and spreadsheets.

pandas writes CSV and LaTeX, with what has to be escaped there; Markdown is four lines, for which pandas would need a
package of its own.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from agent.errors import InputError
from agent.files.whole_file import write_whole
from tools.shared.chart_files import check_charts
from tools.shared.intervals import Interval

TABLES = (".csv", ".json", ".md", ".tex")
"""The kinds of files of an exported table."""
Cell = str | int | float | Interval | None
"""A value of a table; None is one that is not known."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, and the digits after the point that Markdown and LaTeX show. CSV has all digits."""

    name: str
    digits: int = 0


@dataclass(frozen=True, slots=True)
class ExportedTable:
    """A table to be written as files called `name`; `caption` says what it holds, in one sentence."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


def check_export(directory: Path) -> None:
    """Make the directory of an export, and check that its tables and charts can be written there.

    It is called before what they hold is computed. Raises InputError.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{directory} cannot be made a folder ({error.strerror}): name another --export") from error
    if importlib.util.find_spec("jinja2") is None:
        raise InputError("--export needs Jinja2 for LaTeX: pip install 'aimo-agent[lab]'")
    check_charts(directory / "chart.svg")


def write_tables(directory: Path, tables: Sequence[ExportedTable]) -> list[Path]:
    """Write each table as .csv, .json, .md and .tex into a directory; return the files.

    In CSV an interval is three columns, its value and its ends; in JSON it is an object of them. LaTeX needs the
    package booktabs. Raises InputError if a file cannot be written.
    """
    written = []
    for table in tables:
        for suffix, text in zip(TABLES, (_csv(table), _json(table), _markdown(table), _latex(table)), strict=True):
            path = directory / f"{table.name}{suffix}"
            write_export(path, text, "--export")
            written.append(path)
    return written


def write_export(path: Path, text: str, flag: str) -> None:
    """Write a file of an export atomically, with its directory.

    Raises InputError, with the flag that named it, if that fails; then a file that was there is as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): name another {flag}") from error


def _csv(table: ExportedTable) -> str:
    import pandas as pd  # here, as it takes longer to import than all else

    wide = {place for row in table.rows for place, cell in enumerate(row) if isinstance(cell, Interval)}
    names = [
        name
        for place, column in enumerate(table.columns)
        for name in ([column.name, f"{column.name} low", f"{column.name} high"] if place in wide else [column.name])
    ]
    rows = [
        [value for place, cell in enumerate(row) for value in (_ends(cell) if place in wide else (_plain(cell),))]
        for row in table.rows
    ]
    return pd.DataFrame(rows, columns=names, dtype=object).to_csv(index=False, lineterminator="\n")


def _json(table: ExportedTable) -> str:
    names = [column.name for column in table.columns]
    rows = [
        {name: asdict(cell) if isinstance(cell, Interval) else cell for name, cell in zip(names, row, strict=True)}
        for row in table.rows
    ]
    return json.dumps({"caption": table.caption, "rows": rows}, indent=2, ensure_ascii=False) + "\n"


def _plain(cell: Cell) -> Cell:
    """A cell for CSV: pandas leaves a carriage return unquoted, behind which readers begin a new row."""
    return _one_line(cell) if isinstance(cell, str) else cell


def _ends(cell: Cell) -> tuple[Cell, ...]:
    return (cell.value, cell.low, cell.high) if isinstance(cell, Interval) else (cell, None, None)


def _markdown(table: ExportedTable) -> str:
    lines = [[column.name for column in table.columns], ["---" for _ in table.columns], *_texts(table)]
    written = ("| " + " | ".join(_one_line(cell).replace("|", r"\|") for cell in line) + " |" for line in lines)
    return f"{table.caption}\n\n" + "\n".join(written) + "\n"


def _latex(table: ExportedTable) -> str:
    import pandas as pd

    frame = pd.DataFrame(list(_texts(table)), columns=[column.name for column in table.columns])
    right = "".join("l" if _is_text(table, place) else "r" for place in range(len(table.columns)))
    body = frame.to_latex(index=False, escape=True, column_format=right)
    return f"% {_one_line(table.caption)}\n{body}"


def _texts(table: ExportedTable) -> Iterator[list[str]]:
    for row in table.rows:
        yield [_shown(cell, column.digits) for cell, column in zip(row, table.columns, strict=True)]


def _shown(cell: Cell, digits: int) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, Interval):
        return f"{cell.value:,.{digits}f} ({cell.low:,.{digits}f} to {cell.high:,.{digits}f})"
    return f"{cell:,.{digits}f}" if isinstance(cell, float) else _one_line(str(cell))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _is_text(table: ExportedTable, place: int) -> bool:
    return any(isinstance(row[place], str) for row in table.rows)
