"""The fields of foreign JSON, each checked where it is read, with messages that name file, line and field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from agent.errors import InputError


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one JSON object.

    `place` says where it stands ("samples.jsonl, line 3"), `above` is the path of fields down to it ("output.").
    """

    place: str
    values: Mapping[str, Any]
    above: str = ""

    def wrong(self, name: str, what: str) -> InputError:
        """The error to raise for a field."""
        return InputError(f"{self.place}, field {self.above + name!r} {what}")

    def get(self, name: str) -> Any:
        """The value of a field, None where it is missing or null."""
        return self.values.get(name)

    def need(self, name: str) -> Any:
        """The value of a field. Raises InputError where it is missing or null."""
        value = self.values.get(name)
        if value is None:
            raise self.wrong(name, "is missing: give it a value")
        return value

    def text(self, name: str) -> str:
        """A text, or a number as text. Raises InputError for anything else, and for an empty one."""
        value = self.need(name)
        if isinstance(value, bool) or not isinstance(value, str | int | float) or not str(value).strip():
            raise self.wrong(name, f"is {_shown(value)}: give a text or a number")
        return str(value).strip()

    def count(self, name: str) -> int:
        """A whole number above 0. Raises InputError for anything else."""
        value = self.need(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int_or_none(value) or value < 1:
            raise self.wrong(name, f"is {_shown(value)}: give a whole number above 0")
        return int(value)

    def flag(self, name: str) -> bool:
        """A truth value; False where it is missing or null. Raises InputError for anything else."""
        value = self.get(name)
        if value is not None and not isinstance(value, bool):
            raise self.wrong(name, f"is {_shown(value)}: give true or false")
        return bool(value)

    def inner(self, name: str) -> Fields:
        """The object in a field. Raises InputError if it is none."""
        value = self.need(name)
        if not isinstance(value, Mapping):
            raise self.wrong(name, f"is {_shown(value)}: give an object")
        return Fields(self.place, value, f"{self.above}{name}.")

    def items(self, name: str) -> list[Any]:
        """The values in a list. Raises InputError if the field holds none, or the list is empty."""
        value = self.need(name)
        if not isinstance(value, list) or not value:
            raise self.wrong(name, f"is {_shown(value)}: give a list with at least one entry")
        return value

    def objects(self, name: str) -> Iterator[Fields]:
        """The objects in a list. Raises InputError if one is none."""
        for number, value in enumerate(self.items(name)):
            if not isinstance(value, Mapping):
                raise self.wrong(f"{name}[{number}]", f"is {_shown(value)}: give an object")
            yield Fields(self.place, value, f"{self.above}{name}[{number}].")


def int_or_none(value: float) -> int | None:
    """The number as an int; None for one that is infinite or no number."""
    try:
        return int(value)
    except (OverflowError, ValueError):
        return None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
