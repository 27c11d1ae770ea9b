"""Read problem files: CSV, JSON lines, JSON or parquet on disk, `Problem` in memory."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from agent.errors import InputError
from agent.problems.columns import file_error
from agent.problems.rows import NumberAsWritten, Row, read_rows, table_rows
from agent.types import Problem

BUNDLED = {name: Path(__file__).parent / "data" / f"{name}.csv" for name in ("starter", "practice")}
"""The files of the bundled problem sets, by name."""

STARTER = BUNDLED["starter"]

_NOTHING = frozenset({"", "nan", "none", "null", "n/a", "na", "-"})

# An integer: sign, digits with a consistent thousands separator, and zeros after a decimal point, which pandas writes
# for whole numbers in a column with gaps (but not three zeros, which may be thousands). At most 4,000 digits, as int()
# refuses more than 4,300; only ASCII digits.
_BLANK = r"(?:[ \u00a0\u2009\u202f~]|\\[,;:! ])"
_DRESS = rf"(?:{_BLANK}|\$|\\[()\[\]])*"
_SIGN = r"(?P<sign>[-+\u2212])"
_THOUSANDS = rf"(?P<separator>\{{,\}}|,(?:\\!)?|\{{{_BLANK}\}}|{_BLANK})"
_DIGITS = rf"[0-9]{{1,3}}{_THOUSANDS}[0-9]{{3}}(?:(?P=separator)[0-9]{{3}}){{0,1300}}|[0-9]{{1,4000}}"
_END = rf"{_DRESS}(?:(?:\u00b0|\^\\circ|\^\{{\\circ\}}|\\degree){_DRESS})?\.?"
_INTEGER = re.compile(rf"{_DRESS}(?:{_SIGN}{_DRESS})?(?P<digits>{_DIGITS})(?:\.(?!000(?!0))0*)?{_END}")
_BOX = re.compile(
    rf"(?:so|thus|hence|the|final|answer|is|[\s:,~$]|\\[,;:! ()\[\]])*\\(?:boxed|fbox|framebox)[ ]*"
    rf"\{{(?P<inner>(?:[^{{}}]|\{{[^{{}}]*\}})*)\}}{_END}"
)

# A number with an exponent, as floats are written.
_FLOAT = re.compile(r"[+-]?[0-9]{1,20}(?:\.[0-9]{1,20})?[eE][+-]?[0-9]{1,2}")

_EXACT_FLOATS = 2**53  # above it not every integer is representable as a float


def load_problems(path: Path) -> list[Problem]:
    """Load the problems of a file in order: CSV, JSON lines (.jsonl, .ndjson), a JSON list or parquet.

    Columns, ignoring case: `id`, `problem` or `question`, and `answer` (`columns` lists the accepted synonyms); others
    are ignored. Answers may be missing or empty; without a column of ids the rows are numbered from 1. Texts and ids
    are kept verbatim; an id that is a whole number becomes its digits.

    Raises InputError, naming the line, if anything is invalid or there are no problems.
    """
    problems = problems_of_rows(path, read_rows(path))
    if not problems:
        raise InputError(f"{path} holds no problems: add a row with an id and a problem")
    return problems


def starter_problems() -> list[Problem]:
    """Load the twelve bundled problems, in order of difficulty, all with answers in 0..999."""
    return load_problems(STARTER)


def practice_problems() -> list[Problem]:
    """Load the sixty bundled problems, the starter problems first, all with answers in 0..99999."""
    return load_problems(BUNDLED["practice"])


def check_problems() -> list[Problem]:
    """Load the two easy problems with which a served model is checked before a run."""
    return load_problems(STARTER.with_name("check.csv"))


def parse_csv(path: Path, text: str) -> list[Problem]:
    """Parse the problems of a CSV text, perhaps none; errors name `path`. Raises InputError as `load_problems`."""
    return problems_of_rows(path, table_rows(path, text))


def check_text(text: str, name: str = "the problem") -> None:
    """Raises InputError, which calls it by the name, if a text that was given is not that of a problem."""
    if not text.strip():
        raise InputError(f"{name} is empty: give its text")
    if "\0" in text:
        raise InputError(f"{name} contains a NUL byte, which is not text: remove it")


def problems_of_rows(path: Path, rows: Iterable[Row]) -> list[Problem]:
    """Check the rows and return their problems, perhaps none; errors name `path`.

    Raises InputError as `load_problems`.
    """
    problems = []
    places: dict[str, str] = {}
    named = None
    for number, row in enumerate(rows, start=1):
        if named not in (None, row.columns.id is not None):
            raise file_error(path, row.place, "only some rows have ids", "give every problem an id, or none")
        named = row.columns.id is not None
        for name in row.columns.unread_ids:
            if not _is_nothing(row.values[name]):
                fault = f"the column {name!r} is not read as the id"
                raise file_error(path, row.place, fault, "name it id if it tells the problems apart, or remove it")
        id_ = _usable(path, row.place, "id", _digits(row.values[row.columns.id]) if row.columns.id else str(number))
        if id_ in places:
            fault = f"the id {reprlib.repr(id_)} is already used in {places[id_]}"
            raise file_error(path, row.place, fault, "give each problem its own id")
        places[id_] = row.place
        text = _usable(path, row.place, "problem", row.values[row.columns.text])
        problems.append(Problem(id_, text, _answer(path, row)))
    return problems


def _digits(value: object) -> object:
    """Convert whole numbers to text; a column of integers with gaps is read as floats."""
    if isinstance(value, NumberAsWritten) and "e" in value.literal.lower():
        return value.literal  # an id such as 192e23 that lost its quotes
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT_FLOATS:
        value = int(value)
    if isinstance(value, Decimal) and value == value.to_integral_value():
        value = int(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _usable(path: Path, place: str, name: str, value: object) -> str:
    if _is_empty(value):
        raise file_error(path, place, f"the {name} is empty", f"write the {name} or remove the row")
    if not isinstance(value, str):
        raise file_error(path, place, f"the {name} {reprlib.repr(value)} is not a string", "write it as one")
    if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
        remedy = "remove it, as no text file can contain it"
        raise file_error(path, place, f"the {name} contains a NUL or half a surrogate pair", remedy)
    return value


def _is_empty(value: object) -> bool:
    """Whether the value is missing: None, blank text, or pandas' NaN."""
    return value is None or value != value or (isinstance(value, str) and not value.strip())


def _answer(path: Path, row: Row) -> int | None:
    r"""Parse `52`, `52.0`, `" 52 "`, `$52$`, `52^\circ`, `\boxed{52}` etc. as 52; NaN, `None`, `N/A` as None."""
    for name in row.columns.unread:
        if not _is_nothing(row.values[name]):
            fault = f"the column {name!r} is not read as the answer"
            raise file_error(path, row.place, fault, "name it answer if it holds integers, or remove it")
    value = row.values.get(row.columns.answer) if row.columns.answer else None
    if _is_nothing(value):
        return None
    answer = _integer(value)
    if answer is None:
        fault = f"the answer {reprlib.repr(value)} is not an integer"
        raise file_error(path, row.place, fault, "write it in digits or leave it empty")
    return answer


def _is_nothing(value: object) -> bool:
    """Whether the value is missing or a word for a missing value."""
    return _is_empty(value) or str(value).strip().lower() in _NOTHING


def _integer(value: object) -> int | None:
    """Parse an integer; None if that would need arithmetic or a guess."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else None
    written = value.literal if isinstance(value, NumberAsWritten) else str(value).strip()
    if _FLOAT.fullmatch(written):
        number = Fraction(written)
        return int(number) if number.denominator == 1 and abs(number) <= _EXACT_FLOATS else None
    box = _BOX.fullmatch(written)
    match = _INTEGER.fullmatch(written if box is None else box["inner"])
    if match is None:
        return None
    digits = int(re.sub("[^0-9]", "", match["digits"]))
    return -digits if match["sign"] in ("-", "\u2212") else digits
