"""What the cache of models holds: each model by the name that `--model` takes, its size, and how it is removed."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.errors import InputError, ModelError
from agent.files.suggestions import no_such
from agent.models.cache_folder import lock_of, locked, models_folder
from agent.models.hub.errors import hub_errors
from agent.models.hub.model import HUB_FOLDER
from agent.models.hub.name import HubName
from agent.models.known import known_models

OURS, HUBS = "ours", "the Hub's"
"""Whose cache a model is in; that of the Hub's library is shared with other programs."""

_UNFINISHED = (".part", ".parts")
_WRONG = ".wrong"


@dataclass(frozen=True, slots=True)
class CachedModel:
    """A model in a cache, or what is left of one: its name, bytes, place, and a remark ("" for a whole model)."""

    name: str
    size: int
    path: Path
    cache: str = OURS
    remark: str = ""


def cached_models() -> list[CachedModel]:
    """Return the models in our cache and in that of the Hub's library, by their names."""
    folder = models_folder()
    found = [*_known_files(folder), *_hub_files(folder / HUB_FOLDER), *_hub_repositories()]
    return sorted(found, key=lambda model: (model.cache, model.name, model.remark))


def find_cached(names: Iterable[str]) -> list[CachedModel]:
    """Return all that the caches hold under these names, each once; a file's digest may be left out.

    Raises InputError for a name that is in no cache.
    """
    models = cached_models()
    found: dict[CachedModel, None] = {}
    for name in names:
        called = [model for model in models if name in (model.name, model.name.partition("@")[0])]
        if not models:
            raise InputError(f"no model {name!r}: the cache holds none")
        if not called:
            raise InputError(no_such("the cache has no model", name, sorted({model.name for model in models})))
        found |= dict.fromkeys(called)
    return list(found)


def remove_model(model: CachedModel) -> None:
    """Remove a model from its cache. Raises ModelError if it is just being fetched or cannot be removed."""
    if model.cache == OURS:
        _remove_own(model)
    else:
        _remove_from_hub_cache(model)


def hub_cache() -> Path | None:
    """The directory of the cache of the Hub's library; None where that is not installed."""
    try:
        from huggingface_hub import constants
    except ImportError:
        return None
    return Path(constants.HF_HUB_CACHE)


def _known_files(folder: Path) -> Iterator[CachedModel]:
    names = {known.file: name for name, known in known_models().items()}
    for path in sorted(folder.glob("*")) if folder.is_dir() else ():
        file = next((file for file in names if path.name.startswith(file)), None)
        if path.name == HUB_FOLDER or path.suffix == ".lock":
            continue
        yield CachedModel(names[file] if file else str(path), _bytes_of(path), path, remark=_remark(path))


def _hub_files(folder: Path) -> Iterator[CachedModel]:
    for path in sorted(folder.glob("*/*/*/**/*")):
        if not path.is_file() or path.suffix == ".lock":
            continue
        owner, repository, digest, *file = path.relative_to(folder).parts
        name = HubName(f"{owner}/{repository}", "/".join(file).removesuffix(".part"), digest)
        yield CachedModel(str(name), _bytes_of(path), path, remark=_remark(path))


def _hub_repositories() -> Iterator[CachedModel]:
    folder = hub_cache()
    if folder is None or not folder.is_dir():
        return
    for each in _scan(folder).repos:
        if each.repo_type == "model":
            yield CachedModel(str(HubName(each.repo_id)), each.size_on_disk, each.repo_path, cache=HUBS)


def _scan(folder: Path) -> Any:
    import huggingface_hub as hub

    return hub.scan_cache_dir(folder)


def _remark(path: Path) -> str:
    if path.suffix in _UNFINISHED:
        return "download not finished"
    return "wrong digest" if path.suffix == _WRONG else ""


def _bytes_of(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else (path,)
    return sum(_length(file) for file in files if file.is_file())


def _length(file: Path) -> int:
    """The bytes of a file, 0 where a download that has ended since has renamed it."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _remove_own(model: CachedModel) -> None:
    target = _target_of(model.path)
    try:
        with locked(target, None):
            if model.path.is_dir():
                shutil.rmtree(model.path)
            else:
                model.path.unlink()
            lock_of(target).unlink()
        for place in (model.path, target):
            _remove_empty(place.parent)
    except BlockingIOError as error:
        raise ModelError(f"{model.name} is just being fetched by another process: end that first") from error
    except OSError as error:
        reason = f"({error.strerror}): remove it as a user who may write to {model.path.parent}"
        raise ModelError(f"{model.path} cannot be removed {reason}") from error


def _remove_empty(folder: Path) -> None:
    """Remove a directory in ours and those that it stands in, as far as nothing is in them."""
    while folder != models_folder():
        if folder.is_dir():
            if any(folder.iterdir()):
                return
            folder.rmdir()
        folder = folder.parent


def _target_of(path: Path) -> Path:
    """The file whose lock is held while the one at a path is fetched."""
    folder = models_folder() / HUB_FOLDER
    if not path.is_relative_to(folder):
        names = [known.file for known in known_models().values()]
        return path.with_name(next((file for file in names if path.name.startswith(file)), path.name))
    owner, repository, _, *file = path.relative_to(folder).parts
    return folder.joinpath(owner, repository, *file[:-1], file[-1].removesuffix(".part"))


def _remove_from_hub_cache(model: CachedModel) -> None:
    folder = hub_cache()
    assert folder is not None
    name = HubName(model.name.removeprefix("hf:"))
    with hub_errors(name, folder):
        scanned = _scan(folder)
        commits = [
            revision.commit_hash
            for each in scanned.repos
            if each.repo_path == model.path
            for revision in each.revisions
        ]
        scanned.delete_revisions(*commits).execute()


def is_called(model: CachedModel, name: str) -> bool:
    """Whether a configuration whose model has this name uses the cached one."""
    return name in (model.name, model.name.partition("@")[0]) or name.partition("@")[0] == model.name
