"""Finds models, wheels and competition data below Kaggle's input folder, wherever it mounts them this year."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from agent.errors import InputError

RERUN_VARIABLE = "KAGGLE_IS_COMPETITION_RERUN"  # set in the scored run
ROOT_VARIABLE = "AIMO_KAGGLE_ROOT"  # where a rehearsal without a /kaggle of its own keeps the tree
_DEEPEST = 8
_NOT_LOOKED_INTO = ("site-packages", ".git", "__pycache__")


def kaggle_root() -> Path:
    """The root of Kaggle's tree, with `input` and `working` below."""
    return Path(os.environ.get(ROOT_VARIABLE, "/kaggle"))


def scratch_folder(name: str) -> Path:
    """A folder for what is not kept with the notebook's output."""
    return Path(tempfile.gettempdir(), name)


def find_csv(competition: str, *names: str) -> Path | None:
    """The first of the named files in the data of a competition, None where none is mounted."""
    for name in names:
        found = [path for path in _files() if path.name == name and competition in path.parts]
        if found:
            return min(found, key=_rank)
    return None


def find_evaluation_package(package: str) -> Path | None:
    """The folder that holds the evaluation package, None where it is not mounted."""
    found = [path.parent.parent for path in _files() if path.name == "__init__.py" and path.parent.name == package]
    return min(found, key=_rank, default=None)


def find_wheels() -> Path | None:
    """The folder of the wheelhouse: that with a requirements file beside its wheels; None where it is not mounted."""
    found = [path.parent for path in _files() if path.name == "requirements.txt" and any(path.parent.glob("*.whl"))]
    return min(found, key=_rank, default=None)


def find_model(name: str) -> Path:
    """The model whose path has `name` in it, in any case: a folder with a config.json, or a GGUF file.

    Raises InputError, with what there is, if there is none or more than one.
    """
    models = sorted({path.parent if path.name == "config.json" else path for path in _files() if _is_model(path)})
    below = kaggle_root() / "input"
    matching = [path for path in models if name.lower() in str(path.relative_to(below)).lower()]
    if len(matching) == 1:
        return matching[0]
    there = ", ".join(str(path) for path in matching or models) or "no model at all"
    fault = "more than one model matches" if matching else "no model matches"
    raise InputError(f"{fault} {name!r} below {below}; there is {there}: attach one or set MODEL to a part of its path")


def _is_model(path: Path) -> bool:
    if path.suffix == ".gguf":
        return True
    return path.name == "config.json" and any(path.parent.glob("*.safetensors"))


def _files() -> Iterator[Path]:
    top = kaggle_root() / "input"
    for parent, folders, names in os.walk(top, followlinks=True):
        depth = len(Path(parent).relative_to(top).parts)
        folders[:] = [] if depth >= _DEEPEST else sorted(f for f in folders if f not in _NOT_LOOKED_INTO)
        yield from (Path(parent, name) for name in sorted(names))


def _rank(path: Path) -> tuple[int, str]:
    """Shallow paths first, then by name: the same choice in every run."""
    return len(path.parts), str(path)
