"""Finds models, wheels and competition data below Kaggle's input folder, wherever it mounts them this year."""

from __future__ import annotations

import glob
import json
import os
import re
import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from agent.errors import InputError

RERUN_VARIABLE = "KAGGLE_IS_COMPETITION_RERUN"  # set in the scored run
ROOT_VARIABLE = "AIMO_KAGGLE_ROOT"  # where a rehearsal without a /kaggle of its own keeps the tree
_DEEPEST = 8
_NOT_LOOKED_INTO = ("site-packages", ".git", "__pycache__")
_INDEX = "model.safetensors.index.json"
_TOKENIZERS = ("tokenizer.*", "vocab.*", "tekken.json", "*.tiktoken", "*.model")  # one has to match
_PART = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.(?:safetensors|gguf)")


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


def find_models() -> list[Path]:
    """The attached models, whatever their names: folders with a config.json beside safetensors, and GGUF files.

    A model of which something is missing is left out (`incomplete_models`), and so is whatever lies inside another
    model's folder, such as a second form of its weights. Of a GGUF model in several files it is the first.
    """
    models = sorted((path for path, missing in _models() if not missing), key=_rank)
    return [model for model in models if not any(other in model.parents for other in models)]


def incomplete_models() -> list[str]:
    """What is missing of models that are attached without all their files, a sentence each."""
    return [f"{path} lacks {missing}" for path, missing in _models() if missing]


def named_models(name: str, models: Sequence[Path]) -> list[Path]:
    """Those of the models that have `name`, a path or a part of one, in their paths, in any case.

    Paths are as a notebook sees them, below /kaggle. Raises InputError, with what there is, if there is none.
    """
    wanted = name.strip().rstrip("/").lower()
    shown = {model: str(Path("/kaggle", model.relative_to(kaggle_root()))).lower() for model in models}
    at_or_below = [model for model in models if f"{shown[model]}/".startswith(f"{wanted}/")]
    matching = at_or_below or [model for model in models if wanted in shown[model]]
    if not matching:
        there = ", ".join(map(str, models)) or "no whole model at all"
        below = kaggle_root() / "input"
        raise InputError(
            f"no model matches {name!r} below {below}; there is {there}: attach it or set MODEL to a part of its path"
        )
    return matching


def _models() -> Iterator[tuple[Path, str]]:
    """Each model, a folder or a file, and what it lacks, "" if nothing."""
    for path in _files():
        name = path.name.lower()
        if name == "config.json":
            weights = [file for file in path.parent.glob("*.safetensors") if not file.name.startswith("adapter_")]
            if weights:
                yield path.parent, _missing(weights, _indexed(path.with_name(_INDEX))) or _no_tokenizer(path.parent)
        elif name.endswith(".gguf") and "mmproj" not in name:  # which only adds vision to a model
            part = _PART.fullmatch(path.name)
            if part is None:
                yield path, _missing([path])
            elif int(part["number"]) == 1:
                yield path, _missing(path.parent.glob(f"{glob.escape(part['stem'])}-*.gguf"))


def _missing(files: Iterable[Path], indexed: Collection[str] = ()) -> str:
    """How many are missing of the files that the names number, as in model-00001-of-00017.safetensors, or `indexed`."""
    names = {file.name for file in files if _is_readable(file)}
    parts = [part for name in names if (part := _PART.fullmatch(name))]
    numbered = Counter((part["stem"], part["count"]) for part in parts)
    lacking = sum(max(0, int(count) - numbers) for (_, count), numbers in numbered.items())
    lacking = max(lacking, sum(name not in names for name in indexed), 0 if names else 1)
    return f"{lacking} of the files that its weights are in" if lacking else ""


def _is_readable(file: Path) -> bool:
    """Whether it can be read: links may lead nowhere, as where Hugging Face's cache was uploaded without its blobs."""
    return file.is_file() and os.access(file, os.R_OK)


def _indexed(index: Path) -> set[str]:
    """The files beside it that the index of a model's weights names; none where there is no index to be read."""
    try:
        return {str(name) for name in json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()}
    except (OSError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return set()


def _no_tokenizer(folder: Path) -> str:
    return "" if any(any(folder.glob(name)) for name in _TOKENIZERS) else "a tokenizer (tokenizer.json)"


def _files() -> Iterator[Path]:
    top = kaggle_root() / "input"
    for parent, folders, names in os.walk(top, followlinks=True):
        depth = len(Path(parent).relative_to(top).parts)
        folders[:] = [] if depth >= _DEEPEST else sorted(f for f in folders if f not in _NOT_LOOKED_INTO)
        yield from (Path(parent, name) for name in sorted(names))


def _rank(path: Path) -> tuple[int, str]:
    """Shallow paths first, then by name: the same choice in every run."""
    return len(path.parts), str(path)
