"""What is wrong with a configuration, in one sentence."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from agent.files.renamed_keys import RENAMED

_ALIKE = 0.7  # similarity from which on a key is taken for another one, misspelt


def first_fault(error: ValidationError, model: type[BaseModel]) -> str:
    """The first key that is not valid, dotted, and why; for an unknown one the key that was most likely meant."""
    first: Any = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    kind = first["type"]
    if kind == "extra_forbidden":
        meant = RENAMED.get(key) or _nearest(key, list(_keys(model)))
        return f"{key}: unknown key" + (f"; did you mean {meant}?" if meant else "")
    if kind == "value_error":
        return f"{key}: {first['ctx']['error']}"
    wanted = "input should be a table" if kind == "model_type" else first["msg"].lower()
    return f"{key}: {wanted}, not {reprlib.repr(first['input'])}"


def _keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _keys(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _nearest(key: str, keys: list[str]) -> str | None:
    """The key that is written most like this one, with its table or without."""
    whole = difflib.get_close_matches(key, keys, 1, _ALIKE)
    names = {name.rpartition(".")[2]: name for name in keys}
    alone = difflib.get_close_matches(key.rpartition(".")[2], names, 1, _ALIKE)
    return whole[0] if whole else names[alone[0]] if alone else None
