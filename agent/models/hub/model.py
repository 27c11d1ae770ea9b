"""A model on the Hugging Face Hub that is given by name: a GGUF file in our cache, or a repository in the Hub's own."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console

from agent.errors import ModelError
from agent.models.cache_folder import check_room, file_digest, locked, models_folder, spoken_size
from agent.models.hub.download import (
    ANSWER_SECONDS,
    RemoteFile,
    download_hub_file,
    in_hub_cache,
    remote_file,
    without_bars,
)
from agent.models.hub.errors import hub_errors, is_missing_file
from agent.models.hub.name import HubName

HUB_FOLDER = "hub"
"""The directory in that of the models with the files from the Hub: owner/repository/SHA-256/file."""

_MOST_NAMED = 8
# What a server of the model reads, of what stands at the top of a repository.
_BESIDE_WEIGHTS = (".json", ".jinja", ".txt", ".model", ".tiktoken", ".py")
_WEIGHTS = (".safetensors", ".bin")  # the first kind that is there
_TWICE = "consolidated"  # how the names of weights begin that some repositories have in a second form


def fetch_hub_model(name: HubName, console: Console) -> tuple[Path, HubName]:
    """Return where a model of the Hub is, fetched if it is not here yet, and its name with what was found as the pin.

    A file with another digest than its pin is never returned. Raises ModelError, or OSError if it cannot be stored.
    """
    if not name.file:
        return _directory(name, console)
    folder = models_folder() / HUB_FOLDER / name.repository
    path = _kept(name, folder, name.pin) if name.pin else None
    if path is None:
        with locked(folder / name.file, console):
            path = _file(name, folder, console)
    return path, name.pinned(file_digest(path))


def gguf_files(name: HubName) -> list[str]:
    """The GGUF files of a repository, as far as the Hub tells; none if it does not answer."""
    try:
        with hub_errors(name):
            import huggingface_hub as hub

            siblings = hub.HfApi().model_info(name.repository, timeout=ANSWER_SECONDS).siblings
    except ModelError:
        return []
    return sorted(each.rfilename for each in siblings or () if each.rfilename.lower().endswith(".gguf"))


def _file(name: HubName, folder: Path, console: Console) -> Path:
    """The file, from our cache, the Hub's, or the Hub, in this order."""
    if name.pin and (kept := _kept(name, folder, name.pin)) is not None:
        return kept
    try:
        remote = _remote(name)
    except ModelError as error:
        kept = None if name.pin else _any_kept(name, folder)
        if kept is None:
            raise
        console.print(f"{error}; the copy that is here is used", soft_wrap=True, markup=False)
        return kept
    if name.pin and remote.digest and remote.digest != name.pin:
        raise ModelError(
            f"{name} is not what the Hub has now, whose SHA-256 is {remote.digest}: give that, or none, if it will do"
        )
    if remote.digest and (kept := _kept(name, folder, remote.digest)) is not None:
        return kept
    return _downloaded(name, remote, folder, console)


def _remote(name: HubName) -> RemoteFile:
    try:
        return remote_file(name)
    except ModelError as error:
        names = gguf_files(name) if is_missing_file(error) else []
        raise ModelError(f"{error}; it has {_listed(names)}" if names else str(error)) from error


def _downloaded(name: HubName, remote: RemoteFile, folder: Path, console: Console) -> Path:
    part = folder / remote.tag / f"{name.file}.part"
    download_hub_file(name, remote, part, console)
    digest = file_digest(part)
    expected = name.pin or remote.digest or digest
    if digest != expected:
        part.unlink()
        raise ModelError(f"{name} came with a wrong digest, {digest} instead of {expected}, and was removed: try again")
    target = folder / digest / name.file
    target.parent.mkdir(parents=True, exist_ok=True)
    return part.replace(target)


def _kept(name: HubName, folder: Path, digest: str) -> Path | None:
    """The file with this digest where it is here already."""
    own = folder / digest / name.file
    if file_digest(own) == digest:
        return own
    shared = in_hub_cache(name)
    return shared if shared is not None and file_digest(shared) == digest else None


def _any_kept(name: HubName, folder: Path) -> Path | None:
    """The file that came last, whatever its digest, as long as it still has that."""
    found = sorted(folder.glob(f"*/{glob.escape(name.file)}"), key=lambda path: path.stat().st_mtime, reverse=True)
    own = next((path for path in found if file_digest(path) == path.relative_to(folder).parts[0]), None)
    return own or in_hub_cache(name)


def _directory(name: HubName, console: Console) -> tuple[Path, HubName]:
    """The directory of a repository with what a server needs, in the cache of the Hub's library."""
    kept = _complete_snapshot(name)
    if kept is not None and kept.name == name.pin:  # a commit, which does not change
        return kept, name
    try:
        commit, sizes = _contents(name)
    except ModelError as error:
        if kept is None:
            raise
        console.print(f"{error}; the copy that is here is used", soft_wrap=True, markup=False)
        return kept, name.pinned(kept.name)
    exact = name.pinned(commit)
    files = _wanted(exact, sizes)
    if (kept := _complete_snapshot(exact)) is not None and all((kept / file).exists() for file in files):
        return kept, exact
    folder = _snapshot(name, commit, {file: sizes[file] for file in files}, console)
    if folder.name != commit:  # a push since may have changed which files there are
        return _directory(name.pinned(folder.name), console)
    return folder, exact


def _contents(name: HubName) -> tuple[str, dict[str, int]]:
    """The commit of a repository's revision, and the sizes of its files in bytes."""
    with hub_errors(name):
        import huggingface_hub as hub

        api = hub.HfApi()
        info = api.model_info(name.repository, revision=name.pin or None, timeout=ANSWER_SECONDS, files_metadata=True)
    if not info.sha:
        raise ModelError(f"{name}: the Hub does not say which commit it has: check HF_ENDPOINT and the proxy")
    return info.sha, {each.rfilename: each.size or 0 for each in info.siblings or ()}


def _wanted(name: HubName, files: Iterable[str]) -> list[str]:
    """The files that a server of the model needs. Raises ModelError if it holds no weights that vLLM can load."""
    top = [file for file in files if "/" not in file]
    for kind in _WEIGHTS:
        weights = [file for file in top if file.endswith(kind)]
        weights = [file for file in weights if not file.startswith(_TWICE)] or weights
        if weights and "config.json" in top:
            return sorted(weights + [file for file in top if file.endswith(_BESIDE_WEIGHTS)])
    found = [file for file in files if file.lower().endswith(".gguf")]
    hint = f"it has {_listed(found)}: give one of these" if found else "give a model in the Transformers format"
    raise ModelError(f"{name.repository} has no weights with a config.json at its top: {hint}")


def _snapshot(name: HubName, commit: str, sizes: dict[str, int], console: Console) -> Path:
    """The directory of these files of the revision, downloaded.

    The library is asked for the revision, not for its commit, as it notes only so which commit that is, which has to
    be known without a network.
    """
    with hub_errors(name):
        import huggingface_hub as hub
        from huggingface_hub import constants

        cache = Path(constants.HF_HUB_CACHE)
    cache.mkdir(parents=True, exist_ok=True)
    total = sum(sizes.values())
    check_room(cache, total - _here(name.pinned(commit), sizes), str(name))
    console.print(f"fetching {name} ({spoken_size(total)} in {len(sizes)} files)", soft_wrap=True, markup=False)
    with hub_errors(name, cache), nullcontext() if console.is_terminal else without_bars():
        path = hub.snapshot_download(name.repository, revision=name.pin or None, allow_patterns=sorted(sizes))
    return Path(path)


def _here(name: HubName, sizes: dict[str, int]) -> int:
    """The bytes of the files of a commit that an interrupted download has left."""
    files = {file: in_hub_cache(HubName(name.repository, file), name.pin) for file in sizes}
    return sum(size for file, size in sizes.items() if files[file] is not None)


def _complete_snapshot(name: HubName) -> Path | None:
    """The directory of the revision in the Hub's cache, if it is there with its configuration and all its weights."""
    try:
        with hub_errors(name):
            import huggingface_hub as hub

            # With this pattern its own check, which knows nothing of what is not needed, looks for no other file.
            folder = Path(
                hub.snapshot_download(
                    name.repository, revision=name.pin or None, local_files_only=True, allow_patterns="config.json"
                )
            )
    except ModelError:
        return None
    weights = _indexed(folder) or [path.name for kind in _WEIGHTS for path in folder.glob(f"*{kind}")]
    return folder if weights and all((folder / file).exists() for file in (*weights, "config.json")) else None


def _indexed(folder: Path) -> list[str]:
    """The files of weights that the indexes in a directory name."""
    try:
        texts = [path.read_text(encoding="utf-8") for path in folder.glob("*.index.json")]
        return sorted({file for text in texts for file in json.loads(text)["weight_map"].values()})
    except (OSError, ValueError, LookupError, AttributeError, TypeError):
        return []


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more
