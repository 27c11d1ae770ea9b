"""Find the columns of a problem file that hold the ids, the texts and the answers."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.errors import InputError

ID_COLUMNS = ("id", "problem_id", "question_id", "unique_id", "uuid", "uid", "idx", "problem_idx")
TEXT_COLUMNS = ("problem", "question", "problem_text", "problem_statement", "prompt")
ANSWER_COLUMNS = ("answer", "expected_answer", "final_answer", "ground_truth", "gold", "target")

# Names that suggest an answer, but may hold anything: a proof, a letter, another model's reply.
_PROMISING = re.compile(r"(?:\w+_)?(?:answers?|solutions?|gold|target|labels?|truth|expected|correct)")
# Names that suggest an id, but may number anything.
_NUMBERING = re.compile(r"\w+_(?:id|ids|uid|uuid|idx|index|num|number|no|nr)|num(?:ber)?|no|nr|index|name")
_REMEDY = "have the columns id, problem (or question) and, if known, answer, each once"


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the columns as spelled in the file, None for missing ones.

    `unread` are columns that suggest an answer if there is no answer column, `unread_ids` likewise for ids.
    """

    id: str | None
    text: str
    answer: str | None
    unread: tuple[str, ...] = ()
    unread_ids: tuple[str, ...] = ()

    @property
    def wanted(self) -> Sequence[str]:
        """All of them."""
        return [name for name in (self.id, self.text, self.answer, *self.unread, *self.unread_ids) if name is not None]


def file_error(path: Path, place: str, fault: str, remedy: str) -> InputError:
    """Return an error that says what is wrong with a file, where in it, and how to fix it."""
    return InputError(f"{path}, {place}: {fault}: {remedy}")


def find_columns(path: Path, place: str, names: Sequence[str]) -> Columns:
    """Find the columns by name, ignoring case. Raises InputError if the text is missing or a column is ambiguous."""
    spelled: dict[str, str] = {}
    for name in names:
        key = column_key(name)
        if key in spelled and key in (*ID_COLUMNS, *TEXT_COLUMNS, *ANSWER_COLUMNS):
            raise file_error(path, place, f"more than one column {key!r}", _REMEDY)
        spelled[key] = name
    text = _one_of(path, place, spelled, TEXT_COLUMNS[:2]) or _one_of(path, place, spelled, TEXT_COLUMNS[2:])
    if text is None:
        found = ", ".join(reprlib.repr(name) for name in names[:12])
        raise file_error(path, place, f"no column 'problem' or 'question' (found: {found})", _REMEDY)
    id_ = spelled.get("id") or _one_of(path, place, spelled, ID_COLUMNS[:4])
    id_ = id_ or _one_of(path, place, spelled, ID_COLUMNS[4:])
    answer = _one_of(path, place, spelled, ANSWER_COLUMNS)
    unread = () if answer else tuple(name for key, name in spelled.items() if _PROMISING.fullmatch(key))
    unread_ids = () if id_ else tuple(name for key, name in spelled.items() if _NUMBERING.fullmatch(key))
    return Columns(id_, text, answer, unread, tuple(name for name in unread_ids if name not in unread))


def has_text_column(names: Iterable[str]) -> bool:
    """Whether one of these names a column of texts."""
    return any(column_key(name) in TEXT_COLUMNS for name in names)


def column_key(name: str) -> str:
    """Normalize the name of a column: lower case, words joined by underscores."""
    return re.sub(r"[\s-]+", "_", name.strip()).casefold()


def _one_of(path: Path, place: str, spelled: Mapping[str, str], known: Sequence[str]) -> str | None:
    found = [name for name in known if name in spelled]
    if len(found) > 1:
        fault = f"both a column {found[0]!r} and a column {found[1]!r}"
        raise file_error(path, place, fault, "keep one of them")
    return spelled[found[0]] if found else None
