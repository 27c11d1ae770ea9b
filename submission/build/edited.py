"""A notebook that was edited by hand since it was built, which the next build into its folder must not replace."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.errors import InputError

BUILD_KEY, CELLS_KEY = "aimo_agent", "cells_sha256"  # where in the notebook's metadata the digest of its cells stands


def cells_digest(notebook: Mapping[str, Any]) -> str:
    """The SHA-256 of the kinds and sources of a notebook's cells; outputs and how the file is laid out do not count."""
    cells = [[cell["cell_type"], "".join(cell["source"])] for cell in notebook["cells"]]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def keep_edited(notebook: Path) -> Path | None:
    """Move a notebook that is not as its build left it aside; return where it lies now, None if it has not moved.

    So is kept what is no notebook, or one of which it cannot be said. Raises InputError if it cannot be moved.
    """
    if not notebook.exists() or _is_as_built(notebook):
        return None
    names = (f"{notebook.stem}.edited{number or ''}{notebook.suffix}" for number in range(1_000))
    kept = next(path for name in names if not (path := notebook.with_name(name)).exists())
    try:
        return notebook.rename(kept)
    except OSError as error:
        raise InputError(f"{notebook} was edited, and cannot be kept ({error.strerror}): name another --out") from error


def _is_as_built(notebook: Path) -> bool:
    try:
        tree = json.loads(notebook.read_text(encoding="utf-8"))
        return bool(tree["metadata"][BUILD_KEY][CELLS_KEY] == cells_digest(tree))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return False
