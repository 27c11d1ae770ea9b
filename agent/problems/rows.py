"""Read the rows of problem files: CSV, JSON lines, JSON or parquet, with the values as they are in the file."""

from __future__ import annotations

import csv
import io
import json
import reprlib
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.errors import InputError
from agent.problems.columns import Columns, file_error, find_columns, has_text_column

SEPARATORS = ",;\t|"


@dataclass(frozen=True, slots=True)
class Row:
    """The raw values of one problem, and their place in the file ("line 7")."""

    place: str
    columns: Columns
    values: Mapping[str, object]


class NumberAsWritten(float):
    """A JSON number with a point or an exponent, which may have been meant as a string."""

    def __new__(cls, literal: str) -> NumberAsWritten:
        """Create the number from its literal."""
        number = super().__new__(cls, literal)
        number.literal = literal
        return number

    literal: str


def read_rows(path: Path) -> Iterator[Row]:
    """Read the rows of a file lazily. Raises InputError for an unreadable file or an invalid row."""
    data = _read(path)
    return READERS[path.suffix.lower()](path, data)


def _read(path: Path) -> bytes:
    known = ", ".join(READERS)
    try:
        with path.open("rb") as file:
            # Checked before reading: a model file given by mistake is gigabytes long.
            if path.suffix.lower() not in READERS:
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
        raise file_error(path, f"line {line}", "not UTF-8 text", remedy) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise file_error(path, f"line {line}", "a NUL byte, which is not text", remedy)
    return text


# CSV.


def _csv_rows(path: Path, data: bytes) -> Iterator[Row]:
    text = _decode(path, data)
    return table_rows(path, text, _separator(text))


def _separator(text: str) -> str:
    """Detect the separator: the first with which the header has a column of texts, by default a comma."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    for separator in SEPARATORS:
        if has_text_column(name.strip(" \"'") for name in header.split(separator)):
            return separator
    return ","


def table_rows(path: Path, text: str, separator: str = ",") -> Iterator[Row]:
    """Parse the rows of a CSV text; errors name `path`."""
    records = _csv_records(path, text, separator)
    line, header = next(records, (1, [""]))
    names = [name.strip() for name in header]
    columns = find_columns(path, f"line {line}", names)
    for line, fields in records:
        place = f"line {line}"
        if len(fields) != len(names):
            fault = f"{len(fields)} fields where the header has {len(names)}"
            remedy = f"put double quotes around a text with a {'comma' if separator == ',' else repr(separator)}"
            raise file_error(path, place, fault, remedy)
        yield Row(place, columns, dict(zip(names, fields, strict=True)))


def _csv_records(path: Path, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the non-blank rows, each with the line on which it starts, counted from 1."""
    # The limit is global; it is only ever raised, as other readers may rely on it.
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    while True:
        start = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            remedy = "close the quotes of each field and double a quote inside them"
            raise file_error(path, f"line {start}", f"this row is malformed CSV ({error})", remedy) from None
        if len(fields) > 1 or "".join(fields).strip():
            yield start, fields


# JSON: a list, or one object per line, whatever the suffix.


def _json_rows(path: Path, data: bytes) -> Iterator[Row]:
    text = _decode(path, data)
    first = text.lstrip()[:1]
    if path.suffix.lower() == ".json" and first == "{":
        return _object_or_lines(path, text)
    if path.suffix.lower() == ".json" or first == "[":
        return _list_rows(path, text)
    return _line_rows(path, text)


def _object_or_lines(path: Path, text: str) -> Iterator[Row]:
    """Read a single object as one problem, otherwise one object per line."""
    try:
        entry = json.loads(text, parse_float=NumberAsWritten)
    except (ValueError, RecursionError):
        return _line_rows(path, text)
    names = [name for name in entry if has_text_column([name])]
    if names and not isinstance(entry[names[0]], str):
        names = []  # columns as lists, or as objects by row
    if not names:
        found = ", ".join(reprlib.repr(name) for name in list(entry)[:6])
        raise InputError(f"{path} is one object ({found}), not a list of problems: write [{{...}}, ...] without it")
    return iter([_json_row(path, "entry 1", entry)])


def _line_rows(path: Path, text: str) -> Iterator[Row]:
    # Not splitlines(), which also splits at characters that JSON allows inside a string.
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _json_row(path, f"line {number}", _parse_json(path, number, line))


def _list_rows(path: Path, text: str) -> Iterator[Row]:
    entries = _parse_json(path, 1, text)
    if not isinstance(entries, list):
        raise InputError(f"{path} is not a JSON list: write [{{...}}, ...], or name it .jsonl")
    for number, entry in enumerate(entries, start=1):
        yield _json_row(path, f"entry {number}", entry)


def _parse_json(path: Path, first_line: int, text: str) -> object:
    remedy = "give each problem as an object, one per line in .jsonl or in a list in .json"
    try:
        return json.loads(text, parse_float=NumberAsWritten)
    except json.JSONDecodeError as error:
        place = f"line {first_line + error.lineno - 1}"
        fault = f"malformed JSON ({error.msg}, column {error.colno})"
        raise file_error(path, place, fault, remedy) from None
    except (ValueError, RecursionError):  # thousands of digits or of brackets
        fault = "JSON with a number too long or a nesting too deep"
        raise file_error(path, f"line {first_line}", fault, remedy) from None


def _json_row(path: Path, place: str, entry: object) -> Row:
    if not isinstance(entry, dict):
        remedy = 'write {"id": ..., "problem": ..., "answer": ...}'
        raise file_error(path, place, f"{reprlib.repr(entry)} is not an object", remedy)
    return Row(place, find_columns(path, place, list(entry)), entry)


# Parquet.


def _parquet_rows(path: Path, data: bytes) -> Iterator[Row]:
    import pyarrow as pa  # type: ignore[import-untyped]  # slow to import
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        columns = find_columns(path, "schema", file.schema_arrow.names)
        table = file.read(columns=list(columns.wanted))
        for field in table.schema:
            if field.name not in (*columns.unread, *columns.unread_ids) and not _is_scalar(pa.types, field.type):
                remedy = "store texts or numbers in it"
                raise file_error(path, "schema", f"the column {field.name!r} contains {field.type}", remedy)
        entries = table.to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = textwrap.shorten(str(error), 120, placeholder="...")
        raise InputError(f"{path} is not a readable parquet file ({reason}): write it again") from error
    for number, entry in enumerate(entries, start=1):
        yield Row(f"row {number}", columns, entry)


def _is_scalar(types: Any, kind: Any) -> bool:
    """Whether a parquet column holds strings or numbers; other values may have no Python counterpart."""
    if types.is_dictionary(kind):
        kind = kind.value_type
    texts = (types.is_string, types.is_large_string)
    numbers = (types.is_integer, types.is_floating, types.is_decimal, types.is_null)
    return any(test(kind) for test in texts + numbers)


READERS: Mapping[str, Callable[[Path, bytes], Iterator[Row]]] = {
    ".csv": _csv_rows,
    ".tsv": _csv_rows,
    ".jsonl": _json_rows,
    ".ndjson": _json_rows,
    ".json": _json_rows,
    ".parquet": _parquet_rows,
}

SUFFIXES = tuple(READERS)
"""The suffixes of problem files."""
