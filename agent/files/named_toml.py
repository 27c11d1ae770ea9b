"""TOML files that are bundled under short names, or a user's own by path."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from agent.errors import ConfigError
from agent.files.addresses import expand_home
from agent.files.suggestions import did_you_mean


def toml_names(folder: Traversable) -> list[str]:
    """The short names of the files bundled in the folder."""
    return sorted(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def lasting_name(folder: Traversable, name: str) -> str:
    """The short name of a bundled file as it is, any other as an absolute path, which means the same everywhere.

    Raises ValueError if it begins with a home directory that is not known.
    """
    return name if not name or name in toml_names(folder) else str(Path(expand_home(name)).absolute())


def read_named(folder: Traversable, name: str, kind: str, further: Sequence[str] = ()) -> dict[str, Any]:
    """The tree of a bundled file, or of the file at the path `name`; `kind` says in a message what it is.

    Raises ConfigError if there is no such file or it cannot be read, with the names that may be given: those of bundled
    files, and the `further` ones, which stand for no file.
    """
    bundled = toml_names(folder)
    try:
        file = folder / f"{name}.toml" if name in bundled else Path(expand_home(name) or f"{name}.toml")
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))  # editors on Windows write a BOM
    except FileNotFoundError:
        names = [*bundled, *further]
        meant = did_you_mean(name.removesuffix(".toml"), names)
        raise ConfigError(
            f"no {kind} {name!r}{meant}: give one of {', '.join(names)} or the path of a TOML file"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise ConfigError(f"{kind} {name} cannot be read ({reason}): give a TOML file that you may read") from error
