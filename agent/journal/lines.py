"""The lines of a run's journal, one JSON object each, of a `kind`.

"problem" (a problem was started: its prompt and its allowance), "sample" (one that has ended, whole), "solution",
"cost" (what a request of a sample cost, where prices are configured), "engine" (what happened to the engine), "start"
(the parts of a server's start, and its memory), "check" (how the served model was checked before the run), "warning"
(what should be set otherwise) and "settings" (what a resumed run changed: the stored configuration stays as the run was
started).
"""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from agent.errors import InputError
from agent.events import EngineEvent, EngineStarted, Event, HealthChecked, RequestCharged, RunWarning
from agent.types import Sample, Solution


@dataclass(frozen=True, slots=True)
class RecordedStart:
    """A problem was started: what was asked, the seconds granted and the samples to be drawn."""

    problem_id: str
    prompt: str
    allowance: float
    lanes: int


@dataclass(frozen=True, slots=True)
class SettingsChange:
    """A resumed run set dotted configuration keys anew, `at` seconds after the run began."""

    changed: dict[str, Any]
    at: float


_WrittenEvent = RequestCharged | EngineEvent | EngineStarted | RunWarning | HealthChecked
_Note = RecordedStart | _WrittenEvent | SettingsChange
Entry = Sample | Solution | _Note
_WRITTEN: dict[str, type[_WrittenEvent]] = {
    "cost": RequestCharged,
    "engine": EngineEvent,
    "start": EngineStarted,
    "warning": RunWarning,
    "check": HealthChecked,
}
KIND_OF: dict[type[Event], str] = {event: kind for kind, event in _WRITTEN.items()}
"""The events that are written as they are."""

_KINDS: dict[str, TypeAdapter[Entry]] = {
    "problem": TypeAdapter(RecordedStart),
    "sample": TypeAdapter(Sample),
    "solution": TypeAdapter(Solution),
    "settings": TypeAdapter(SettingsChange),
    **{kind: TypeAdapter(event) for kind, event in _WRITTEN.items()},
}
_RENAMED = {"foreign_letters": "language_mixing"}  # fields by the names that earlier versions gave them


def read_entries(path: Path) -> list[Entry | str | None]:
    """What each line of a journal, compressed or not, holds: a record, its kind if that is not known here, or None.

    None is a line that cannot be read. Raises InputError if the journal as a whole cannot be read.
    """
    return [_entry(line) for line in _lines(_content(path))]


def has_recorded(path: Path) -> bool:
    """Whether the journal holds a sample, a solution or a whole line that this version cannot read.

    Raises InputError if the journal as a whole cannot be read.
    """
    content = _content(path)
    lines = _lines(content[: _whole(content)])
    return any(not isinstance(_entry(line), _Note) for line in lines)


def close_last_line(path: Path) -> None:
    """End the last line, so that the next one starts on its own; one that is torn is cut off. Raises OSError."""
    with path.open("r+b") as file:
        content = file.read()
        whole = _whole(content)
        file.truncate(whole)
        if not content[:whole].endswith(b"\n") and whole:
            file.seek(whole)
            file.write(b"\n")


def _whole(content: bytes) -> int:
    """The bytes of a journal without a last line that is torn: one with neither a newline nor a whole JSON object."""
    start = content.rfind(b"\n") + 1
    try:
        return len(content) if isinstance(json.loads(content[start:]), dict) else start
    except (ValueError, RecursionError):
        return start


def _lines(content: bytes) -> list[bytes]:
    return content.removesuffix(b"\n").split(b"\n") if content else []


def _content(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if path.suffix == ".gz" else data
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read ({reason}): give the directory of a run") from error


def _entry(line: bytes) -> Entry | str | None:
    """What a journal line holds: a record, its kind if that is not known here, or None if it cannot be read."""
    try:
        record = json.loads(line)
        kind = record.pop("kind")
        record = {_RENAMED.get(name, name): value for name, value in record.items()}
        return _KINDS[kind].validate_python(record) if kind in _KINDS else str(kind)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None
