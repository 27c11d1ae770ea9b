"""Problem files: CSV, JSON lines, JSON or parquet on disk, `Problem` in memory."""

from __future__ import annotations

import csv
import io
import json
import re
import reprlib
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.errors import InputError
from agent.types import Problem

BUNDLED = {name: Path(__file__).parent / "data" / f"{name}.csv" for name in ("starter", "practice")}
"""The files of the sets that come with the package, by name."""

STARTER = BUNDLED["starter"]

TEXT_COLUMNS = ("problem", "question")  # public copies of the reference problems use either name

# At most 4,000 digits, as int() refuses more than 4,300. Zeros behind a point are what pandas writes for a whole
# number in a column with gaps.
_INTEGER = re.compile(r"([+-]?[0-9]{1,4000})(?:\.0*)?")


@dataclass(frozen=True, slots=True)
class _Row:
    """The values of one problem as the file has them, and where in the file they stand ("line 7")."""

    place: str
    id: object
    text: object
    answer: object


def load_problems(path: Path) -> list[Problem]:
    """The problems of a file, in its order: CSV, JSON lines (.jsonl, .ndjson), a JSON list or parquet.

    Columns: `id`, `problem` or `question`, and `answer`, which may be missing or empty; others are ignored.
    Texts and ids are kept as they stand; an id that is a whole number becomes its digits.

    Raises InputError, naming the line, if anything in it is not usable or no problem is found.
    """
    data = _read(path)
    problems = _problems(path, _READERS[path.suffix.lower()](path, data))
    if not problems:
        raise InputError(f"{path} holds no problems: add a row with an id and a problem")
    return problems


def starter_problems() -> list[Problem]:
    """The twelve bundled problems, rising from easy to hard, all with answers in 0..999."""
    return load_problems(STARTER)


def practice_problems() -> list[Problem]:
    """The sixty bundled problems, the starter problems first, all with answers in 0..99999."""
    return load_problems(BUNDLED["practice"])


def parse_csv(path: Path, text: str) -> list[Problem]:
    """The problems of a CSV text, perhaps none; `path` is what errors name. Raises InputError as `load_problems`."""
    return _problems(path, _table_rows(path, text))


def _error(path: Path, place: str, fault: str, remedy: str) -> InputError:
    return InputError(f"{path}, {place}: {fault}: {remedy}")


# From the disk to rows.


def _read(path: Path) -> bytes:
    known = ", ".join(_READERS)
    try:
        with path.open("rb") as file:
            # Asked before reading: a model file given by mistake is gigabytes long.
            if path.suffix.lower() not in _READERS:
                raise InputError(f"{path} is of an unknown kind: give a file that ends in one of {known}")
            data = file.read()
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: give the path of a file with problems ({known})") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a directory: give the path of a file in it ({known})") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): give a file you may read") from error
    if not data.strip():
        raise InputError(f"{path} is empty: give a file with the columns id, problem and, if known, answer")
    return data


def _decode(path: Path, data: bytes) -> str:
    remedy = "save the file as UTF-8 text"
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _error(path, f"line {line}", "not UTF-8 text", remedy) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise _error(path, f"line {line}", "a NUL byte, which no text file has", remedy)
    return text


def _csv_rows(path: Path, data: bytes) -> Iterator[_Row]:
    return _table_rows(path, _decode(path, data))


def _table_rows(path: Path, text: str) -> Iterator[_Row]:
    records = _csv_records(path, text)
    line, header = next(records, (1, [""]))
    names = [name.strip() for name in header]
    text_column = _text_column(path, f"line {line}", names)
    for line, fields in records:
        place = f"line {line}"
        if len(fields) != len(names):
            fault = f"{len(fields)} fields where the header has {len(names)}"
            raise _error(path, place, fault, "put double quotes around a text that holds a comma")
        yield _row(place, dict(zip(names, fields, strict=True)), text_column)


def _csv_records(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, each with the line on which it starts, counted from 1."""
    # The limit is the process's own; it is only ever raised, as other readers may rely on it.
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        start = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            remedy = "close the quotes of each field and double a quote inside them"
            raise _error(path, f"line {start}", f"this row is malformed CSV ({error})", remedy) from None
        if len(fields) > 1 or "".join(fields).strip():
            yield start, fields


def _jsonl_rows(path: Path, data: bytes) -> Iterator[_Row]:
    # Not splitlines(): it also splits at characters that JSON allows inside a string.
    for number, line in enumerate(_decode(path, data).split("\n"), start=1):
        if line.strip():
            yield _json_row(path, f"line {number}", _parse_json(path, number, line))


def _json_rows(path: Path, data: bytes) -> Iterator[_Row]:
    entries = _parse_json(path, 1, _decode(path, data))
    if not isinstance(entries, list):
        raise InputError(f"{path} is not a JSON list: write [{{...}}, ...], or name it .jsonl")
    for number, entry in enumerate(entries, start=1):
        yield _json_row(path, f"entry {number}", entry)


def _parse_json(path: Path, first_line: int, text: str) -> object:
    remedy = "give each problem as an object, one a line in .jsonl or in a list in .json"
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {first_line + error.lineno - 1}"
        fault = f"malformed JSON ({error.msg}, column {error.colno})"
        raise _error(path, place, fault, remedy) from None
    except (ValueError, RecursionError):  # thousands of digits or of brackets
        fault = "JSON with a number too long or a nesting too deep"
        raise _error(path, f"line {first_line}", fault, remedy) from None


def _json_row(path: Path, place: str, entry: object) -> _Row:
    if not isinstance(entry, dict):
        remedy = 'write {"id": ..., "problem": ..., "answer": ...}'
        raise _error(path, place, f"{reprlib.repr(entry)} is not an object", remedy)
    return _row(place, entry, _text_column(path, place, list(entry)))


def _parquet_rows(path: Path, data: bytes) -> Iterator[_Row]:
    import pyarrow as pa  # type: ignore[import-untyped]  # here, as it takes longer than all else together
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        names: list[str] = file.schema_arrow.names
        text_column = _text_column(path, "schema", names)
        table = file.read(columns=[name for name in names if name in ("id", text_column, "answer")])
        for field in table.schema:
            if not _is_scalar(pa.types, field.type):
                remedy = "store texts or numbers in it"
                raise _error(path, "schema", f"the column {field.name!r} holds {field.type}", remedy)
        entries = table.to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = textwrap.shorten(str(error), 120, placeholder="...")
        raise InputError(f"{path} is not a readable parquet file ({reason}): write it anew") from error
    for number, entry in enumerate(entries, start=1):
        yield _row(f"row {number}", entry, text_column)


def _is_scalar(types: Any, kind: Any) -> bool:
    """Whether a parquet column holds texts or numbers; other values may have no Python counterpart."""
    if types.is_dictionary(kind):
        kind = kind.value_type
    texts = (types.is_string, types.is_large_string)
    numbers = (types.is_integer, types.is_floating, types.is_decimal, types.is_null)
    return any(test(kind) for test in texts + numbers)


_READERS: Mapping[str, Callable[[Path, bytes], Iterator[_Row]]] = {
    ".csv": _csv_rows,
    ".jsonl": _jsonl_rows,
    ".ndjson": _jsonl_rows,
    ".json": _json_rows,
    ".parquet": _parquet_rows,
}

SUFFIXES = tuple(_READERS)
"""How the names of problem files end."""


# From rows to problems.


def _text_column(path: Path, place: str, names: Sequence[str]) -> str:
    """The name of the column with the text, once all columns that are needed are there, and once."""
    remedy = "have the columns id, problem (or question) and, if known, answer, each once"
    for name in ("id", *TEXT_COLUMNS, "answer"):
        if names.count(name) > 1:
            raise _error(path, place, f"more than one column {name!r}", remedy)
    found = f"(found: {', '.join(reprlib.repr(name) for name in names[:12])})"
    if "id" not in names:
        raise _error(path, place, f"no column 'id' {found}", remedy)
    text_columns = [name for name in TEXT_COLUMNS if name in names]
    if not text_columns:
        raise _error(path, place, f"no column 'problem' or 'question' {found}", remedy)
    if len(text_columns) > 1:
        raise _error(path, place, "both a column 'problem' and a column 'question'", "keep one of them")
    return text_columns[0]


def _row(place: str, values: Mapping[str, object], text_column: str) -> _Row:
    return _Row(place, values["id"], values[text_column], values.get("answer"))


def _problems(path: Path, rows: Iterable[_Row]) -> list[Problem]:
    problems = []
    places: dict[str, str] = {}
    for row in rows:
        id_ = _usable(path, row.place, "id", _digits(row.id))
        if id_ in places:
            fault = f"the id {reprlib.repr(id_)} is that of {places[id_]} already"
            raise _error(path, row.place, fault, "give each problem its own id")
        places[id_] = row.place
        text = _usable(path, row.place, "problem", row.text)
        problems.append(Problem(id_, text, _answer(path, row.place, row.answer)))
    return problems


def _digits(value: object) -> object:
    """Whole numbers as text, anything else as it is; a column of numbers with a gap comes as floats."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _usable(path: Path, place: str, name: str, value: object) -> str:
    if value is None or (isinstance(value, str) and not value.strip()):
        raise _error(path, place, f"the {name} is empty", f"write the {name} or remove the row")
    if not isinstance(value, str):
        raise _error(path, place, f"the {name} {reprlib.repr(value)} is not a text", "write it as one")
    if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
        remedy = "remove it, as no text file can hold it"
        raise _error(path, place, f"the {name} has a NUL or half a surrogate pair", remedy)
    return value


def _answer(path: Path, place: str, value: object) -> int | None:
    """`52`, `52.0`, `" 52 "` and the like as 52; None, NaN and an empty text as None."""
    digits = "" if value is None else str(value).strip()
    if digits.lower() in ("", "nan"):
        return None
    match = _INTEGER.fullmatch(digits)
    if match is None:
        fault = f"the answer {reprlib.repr(value)} is not an integer"
        raise _error(path, place, fault, "write it in digits or leave it empty")
    return int(match[1])
