"""The chat template that a model brings along, and the family that it tells."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.chat.recognize import recognized_family
from agent.errors import ModelError
from agent.models.gguf import gguf_texts

_TEMPLATE_FILE = "chat_template.jinja"
_TABLES = ("tokenizer_config.json", "chat_template.json")  # a table with the key `chat_template`
_CONFIG = "config.json"
_CONFIG_NAMES = ("_name_or_path", "_model_name_or_path")
_GGUF_TEMPLATE = "tokenizer.chat_template"
_GGUF_NAMES = ("general.name", "general.basename")
_DEFAULT = "default"  # the one to take where templates have names
_MAX_BYTES = 64 << 20


def read_chat_template(path: Path) -> str | None:
    """The chat template of a model's directory or GGUF file; None where there is no such path, or no template in it.

    Raises ModelError for a file that cannot be read, or that is not what its name says.
    """
    if _is_file(path):
        return gguf_texts(path, {_GGUF_TEMPLATE}).get(_GGUF_TEMPLATE) or None
    text = _file_text(path / _TEMPLATE_FILE)
    if text:
        return text
    found = (_template_of(path / name) for name in _TABLES)
    return next((template for template in found if template), None)


def names_of_model(path: Path) -> str:
    """All that the model at this path is called: the path, and the names in its own files."""
    if _is_file(path):
        names = list(gguf_texts(path, _GGUF_NAMES).values())
    else:
        table = _table(path / _CONFIG)
        names = [name for name in map(table.get, _CONFIG_NAMES) if isinstance(name, str)]
    return " ".join([str(path), *names])


def family_of_model(path: Path, own: Sequence[str] = ()) -> str:
    """The family of the model in a directory or GGUF file: one of `own`, by their paths, else a bundled one.

    Raises ConfigError, saying what to set, where that is not certain; ModelError for a file that cannot be read.
    """
    return recognized_family(read_chat_template(path) or "", names_of_model(path), own)


def family_of_served(template: str, names: Sequence[str], own: Sequence[str] = ()) -> str:
    """The family of a model behind a URL, by what its server tells: a chat template or "", names and paths.

    A path that is on this machine too is looked at for what the server does not tell. Raises as `family_of_model`.
    """
    here = next((path for path in map(Path, names) if path.is_absolute() and _is_there(path)), None)
    if here is not None:
        template = template or read_chat_template(here) or ""
        names = [*names, names_of_model(here)]
    return recognized_family(template, " ".join(names), own)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _is_file(path: Path) -> bool:
    """Whether there is a file; what forbids to look is reported where something is read."""
    try:
        return path.is_file()
    except OSError:
        return False


def _template_of(path: Path) -> str | None:
    """The template in a JSON file: a text, or several with names, of which it is the default one, else the first."""
    value = _table(path).get("chat_template")
    if value is None or isinstance(value, str):
        return value or None
    entries = value if isinstance(value, list) else [value]
    named: dict[object, str] = {
        entry.get("name"): entry["template"]
        for entry in entries
        if isinstance(entry, Mapping) and isinstance(entry.get("template"), str)
    }
    if not named:
        raise ModelError(f"{path} cannot be read (its chat_template is no text): fetch the model again")
    return named.get(_DEFAULT) or next(iter(named.values()))


def _table(path: Path) -> Mapping[str, Any]:
    """The table in a JSON file; an empty one where there is none."""
    text = _file_text(path)
    if text is None:
        return {}
    try:
        table = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read ({error}): fetch the model again") from error
    if not isinstance(table, Mapping):
        raise ModelError(f"{path} cannot be read (it holds no table): fetch the model again")
    return table


def _file_text(path: Path) -> str | None:
    """The text of a file; None where there is none."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise ValueError(f"it has more than {_MAX_BYTES >> 20} MiB")
        return data.decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise ModelError(f"{path} cannot be read ({reason}): fetch the model again") from error
