"""The text of a stored configuration, which shows whether it is complete.

Its first line announces its last one, which says how many keys there are. A text that was cut lacks that line; one with
fewer keys has lost some. Either would load as a profile, with defaults for what is missing, and so turn one run into
another.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from agent.errors import ConfigError
from agent.files.renamed_keys import renamed_tree

_FIRST_LINE = "# A configuration, complete if its end is marked.\n"
_LAST_LINE = "# end of the configuration, {count} keys\n"
_SEAL = re.compile(r"^# end of the configuration, (\d+) keys$", re.MULTILINE)
# Earlier versions wrote no such lines. They wrote at least these tables, in this order, with this key last.
_FIRST_TABLES = ("engine", "vllm", "sampling", "sample", "voting", "stopping", "budget", "sandbox")
_LAST_KEY = "output_chars"


def seal(tree: Mapping[str, Any]) -> str:
    """Return the configuration as TOML, with the lines that show that it is complete."""
    return _FIRST_LINE + tomli_w.dumps(tree) + _LAST_LINE.format(count=_count(tree))


def stored_tree(path: Path) -> dict[str, Any]:
    """The tree of a file that this version or an earlier one stored, with the keys as they are called now.

    That of an earlier one may lack newer keys.

    Raises ConfigError if the file cannot be read or is not complete: defaults stand for nothing that was lost.
    """
    try:
        return renamed_tree(_unseal(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise ConfigError(
            f"{path} is not a complete configuration ({reason}): restore that file, or start a new run in another "
            "directory"
        ) from error


def changed_keys(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the dotted keys whose values differ between two trees of the same shape, with the new values."""
    changed = {}
    for name, value in new.items():
        if isinstance(value, dict):
            changed.update({f"{name}.{key}": each for key, each in value.items() if each != old[name][key]})
        elif value != old[name]:
            changed[name] = value
    return changed


def _unseal(text: str) -> dict[str, Any]:
    tree = tomllib.loads(text)
    sealed = _SEAL.search(text)
    if sealed is None:
        if text.startswith(_FIRST_LINE):
            raise ValueError("its end is missing")
        missing = [name for name in _FIRST_TABLES if not isinstance(tree.get(name), dict)]
        if missing:
            raise ValueError(f"its end is missing: there is no table [{missing[0]}]")
        if _LAST_KEY not in tree[_FIRST_TABLES[-1]] or not text.endswith("\n"):
            raise ValueError("its end is missing")
    elif _count(tree) < int(sealed[1]):
        raise ValueError(f"it has {_count(tree)} of its {sealed[1]} keys")
    return tree


def _count(tree: Mapping[str, Any]) -> int:
    return sum(_count(value) if isinstance(value, dict) else 1 for value in tree.values())
