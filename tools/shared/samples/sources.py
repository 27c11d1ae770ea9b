"""Find out what kind of file a source is, and read it."""

from __future__ import annotations

import csv
import json
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from agent.errors import InputError
from agent.files.suggestions import did_you_mean
from tools.shared.samples.drawn import ReadingRules, SampleFile
from tools.shared.samples.fields import Fields
from tools.shared.samples.inspect_logs import read_inspect_archive, read_inspect_json
from tools.shared.samples.lighteval import read_lighteval
from tools.shared.samples.lm_eval import read_lm_eval
from tools.shared.samples.own_lines import read_own_lines

_Read = TypeVar("_Read")
_IN_FOLDERS = ("*.eval", "samples_*.jsonl", "details_*.parquet")
_COLUMNS = ("id", "gold", "answer", "tokens")
_TRUTHS: Mapping[str, bool | None] = {"true": True, "1": True, "false": False, "0": False, "": None}
_KINDS = (
    "JSON lines (.jsonl), a table of samples (.csv), an Inspect log (.eval, .json), lm-eval's samples (.jsonl), "
    "lighteval's details (.parquet)"
)


def recorded_problems(path: Path) -> list[Fields] | None:
    """Read the lines of a recording; None for a file of another kind, of which only the first line is read.

    Raises InputError for what cannot be read.
    """
    if _READERS.get(path.suffix.lower(), _json_lines) is not _json_lines:
        return None
    first = _opened(path, lambda: next(_lines(path), None))
    return None if first is not None and not _is_recorded(first) else _opened(path, lambda: list(_lines(path)))


def find_sources(paths: Sequence[Path]) -> list[Path]:
    """Return the files given, each once, with those of other programs in the folders given.

    Raises InputError for a folder that holds none.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        files = [path]
        if path.is_dir():
            files = sorted(file for pattern in _IN_FOLDERS for file in path.rglob(pattern))
            if not files:
                raise InputError(f"{path} holds none of {', '.join(_IN_FOLDERS)}: name the files themselves")
        found.update((file.resolve(), file) for file in files)
    return list(found.values())


def read_source(path: Path, reading: ReadingRules) -> SampleFile:
    """Read a file of any kind. Raises InputError, naming file, line and field, for what cannot be read."""
    if not path.exists():
        raise InputError(f"{path} is not there: give {_KINDS}")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path} is of an unknown kind: give {_KINDS}")
    return _opened(path, lambda: reader(path, reading))


def _opened(path: Path, read: Callable[[], _Read]) -> _Read:
    try:
        return read()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror or error}): give {_KINDS}") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({textwrap.shorten(str(error), 100)}): give {_KINDS}") from error


def _is_recorded(row: Fields) -> bool:
    return "problem_id" in row.values and "samples" in row.values


def _json_lines(path: Path, reading: ReadingRules) -> SampleFile:
    return _rows(path, list(_lines(path)), reading)


def _lines(path: Path) -> Iterator[Fields]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            place = f"{path}, line {number}"
            if line.strip():
                try:
                    yield _object(place, json.loads(line))
                except ValueError as error:
                    raise InputError(f"{place} is malformed JSON ({error}): give one object a line") from None


def _csv(path: Path, reading: ReadingRules) -> SampleFile:
    """Read a table with a row a sample, whose cells are texts; an empty one is none."""
    rows = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        table = csv.DictReader(file)
        found = table.fieldnames or ()
        for name in _COLUMNS:
            if name not in found:
                guess = did_you_mean(name, found) or f" (found: {', '.join(map(repr, found))})"
                raise InputError(f"{path} has no column {name!r}{guess}: name its columns {', '.join(_COLUMNS)}")
        for number, cells in enumerate(table, 2):
            place = f"{path}, row {number}"
            if None in cells:
                raise InputError(f"{place} has more cells than row 1: give each a column, and quote those with commas")
            rows.append(Fields(place, {name: _cell(name, text) for name, text in cells.items()}))
    return _rows(path, rows, reading)


def _cell(name: str, text: str | None) -> Any:
    """The value of a cell: a truth value or a number where one belongs, else its text, None where it is empty."""
    if name == "truncated":
        return _TRUTHS.get((text or "").strip().lower(), text)
    if name == "tokens":
        with suppress(TypeError, ValueError):
            return float(text or "")
    return text or None


def _json(path: Path, reading: ReadingRules) -> SampleFile:
    text = path.read_text(encoding="utf-8-sig")
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InputError(f"{path} is malformed JSON ({error}): give a whole file, or name JSON lines .jsonl") from error
    if isinstance(document, Mapping) and "eval" in document:
        return read_inspect_json(path, document, reading)
    if not isinstance(document, list):
        raise InputError(f"{path} is neither an Inspect log nor a list of objects: give {_KINDS}")
    return _rows(path, [_object(f"{path}, entry {number}", each) for number, each in enumerate(document, 1)], reading)


def _parquet(path: Path, reading: ReadingRules) -> SampleFile:
    import pyarrow  # type: ignore[import-untyped]
    from pyarrow import parquet

    try:
        rows = parquet.read_table(path).to_pylist()
    except (pyarrow.ArrowException, ValueError) as error:
        reason = textwrap.shorten(str(error), 100)
        raise InputError(f"{path} is no parquet file that can be read ({reason}): give it whole") from error
    return _rows(path, [Fields(f"{path}, row {number}", row) for number, row in enumerate(rows, 1)], reading)


def _object(place: str, value: Any) -> Fields:
    if not isinstance(value, dict):
        raise InputError(f"{place} is no object: give one with the fields of {_KINDS}")
    return Fields(place, value)


def _rows(path: Path, rows: Sequence[Fields], reading: ReadingRules) -> SampleFile:
    if not rows:
        raise InputError(f"{path} holds no samples: give a file with some")
    first = rows[0].values
    if _is_recorded(rows[0]):
        is_read = _READERS.get(path.suffix.lower()) is _json_lines
        how = "as it is" if is_read else "as JSON lines, a problem a line, in a file that ends with .jsonl"
        raise InputError(f"{path} is a recording already: give it to tools.replay {how}")
    if "resps" in first:
        return read_lm_eval(path, rows, reading)
    if "model_response" in first or "predictions" in first:
        return read_lighteval(path, rows, reading)
    return read_own_lines(path.stem, rows, reading)


_READERS: Mapping[str, Callable[[Path, ReadingRules], SampleFile]] = {
    ".eval": read_inspect_archive,
    ".csv": _csv,
    ".json": _json,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".parquet": _parquet,
}
