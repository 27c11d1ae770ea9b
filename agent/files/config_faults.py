"""Report what is wrong with a configuration as a one-line message."""

from __future__ import annotations

import reprlib
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from agent.files.renamed_keys import RENAMED, RETIRED, RETIRED_TEXT
from agent.files.suggestions import nearest_name

_IN_TOML = {"model_type": "input should be a table", "tuple_type": "input should be a list"}


def first_fault(error: ValidationError, model: type[BaseModel]) -> str:
    """Return the first invalid key, dotted, and the reason; for an unknown key, the one that was probably meant.

    Unknown keys come before missing ones, which they often are, misspelled.
    """
    first: Any = min(error.errors(), key=lambda each: each["type"] == "missing")
    key = ".".join(str(part) for part in first["loc"])
    kind = first["type"]
    if kind == "extra_forbidden" and key in RETIRED:
        return f"{key}: {RETIRED_TEXT}"
    if kind == "extra_forbidden":
        meant = RENAMED.get(key) or _nearest(key, list(_keys(model)))
        return f"{key}: unknown key" + (f"; did you mean {meant}?" if meant else "")
    if kind == "value_error":
        return f"{key}: {first['ctx']['error']}" if key else str(first["ctx"]["error"])
    if kind == "missing":
        return f"{key}: this key is missing"
    wanted = _IN_TOML.get(kind) or first["msg"].lower()
    return f"{key}: {wanted}, not {reprlib.repr(first['input'])}"


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _nearest(key: str, keys: list[str]) -> str | None:
    """Return the key of that name in another table, else the most similar one, compared with or without its table.

    None where keys of several tables are meant as well.
    """
    named: dict[str, list[str]] = defaultdict(list)
    for each in keys:
        named[each.rpartition(".")[2]].append(each)
    last = key.rpartition(".")[2]
    if last not in named:
        if alike := nearest_name(key, keys):
            return alike
        last = nearest_name(last, named) or last
    return named[last][0] if len(named[last]) == 1 else None
