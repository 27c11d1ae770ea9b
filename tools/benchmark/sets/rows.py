"""Read the rows of a data file: CSV, JSON lines, JSON or parquet."""

from __future__ import annotations

import hashlib
import json
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.errors import InputError


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """One row, and its place in the file."""

    place: str
    values: Mapping[str, Any]

    def text(self, *names: str) -> str:
        """The first of these columns that is there, as text. Raises InputError if none is there, or it is empty."""
        known = {name.strip().lower(): value for name, value in self.values.items()}
        for name in names:
            if name.lower() in known:
                value = known[name.lower()]
                text = "" if value is None or value != value else str(value).strip()
                if not text:
                    raise InputError(f"{self.place}: the column {name!r} is empty: fill it in or remove the row")
                return text
        found = ", ".join(repr(name) for name in list(self.values)[:12])
        wanted = " or ".join(repr(name) for name in names)
        raise InputError(f"{self.place}: no column {wanted} (found: {found}): give the file as it is published")

    def has(self, name: str) -> bool:
        """Whether there is such a column, and it is not empty."""
        return any(
            key.strip().lower() == name.lower() and value not in (None, "") for key, value in self.values.items()
        )


def read_dataset(paths: Sequence[Path]) -> list[DatasetRow]:
    """Read the rows of files in order. Raises InputError for a file that is unreadable or empty."""
    return [row for path in paths for row in _read(path)]


def digest(paths: Sequence[Path]) -> str:
    """SHA-256 of the files, one after the other. Raises InputError if one cannot be read."""
    total = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as file:
                while chunk := file.read(1 << 20):
                    total.update(chunk)
        except OSError as error:
            raise _unreadable(path, error.strerror or str(error)) from error
    return total.hexdigest()


def _read(path: Path) -> list[DatasetRow]:
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path} is of an unknown kind: give a file that ends in one of {', '.join(_READERS)}")
    try:
        rows = reader(path)
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:  # the errors of json, pandas, pyarrow and UTF-8 are ValueErrors
        raise _unreadable(path, str(error) or type(error).__name__) from error
    if not rows:
        raise InputError(f"{path} holds no questions: give the file as it is published")
    return rows


def _csv(path: Path) -> list[DatasetRow]:
    import pandas as pd  # here, as it takes longer to import than all else

    return _records(path, pd.read_csv(path, dtype=str, keep_default_na=False))


def _parquet(path: Path) -> list[DatasetRow]:
    import pandas as pd

    return _records(path, pd.read_parquet(path))


def _records(path: Path, table: Any) -> list[DatasetRow]:
    return [DatasetRow(f"{path}, row {number}", row) for number, row in enumerate(table.to_dict("records"), start=1)]


def _json_lines(path: Path) -> list[DatasetRow]:
    rows = []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                rows.append(_object(f"{path}, line {number}", line))
    return rows


def _json(path: Path) -> list[DatasetRow]:
    entries = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(entries, list):
        raise InputError(f"{path} is not a JSON list: write [{{...}}, ...], or name it .jsonl")
    return [_row(f"{path}, entry {number}", entry) for number, entry in enumerate(entries, start=1)]


def _object(place: str, line: str) -> DatasetRow:
    try:
        return _row(place, json.loads(line))
    except ValueError as error:
        raise InputError(f"{place}: malformed JSON ({error}): give one object a line") from None


def _row(place: str, entry: object) -> DatasetRow:
    if not isinstance(entry, dict):
        raise InputError(f"{place}: not an object: give an object with the published columns")
    return DatasetRow(place, entry)


def _unreadable(path: Path, reason: str) -> InputError:
    return InputError(f"{path} cannot be read ({textwrap.shorten(reason, 160)}): give the file as it is published")


_READERS: Mapping[str, Callable[[Path], list[DatasetRow]]] = {
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".parquet": _parquet,
}
