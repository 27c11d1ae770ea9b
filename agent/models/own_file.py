"""A user's own model file, named by its path."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from agent.errors import ModelError
from agent.files.addresses import expand_home
from agent.files.suggestions import did_you_mean

GGUF_MAGIC = b"GGUF"
HUB_PREFIX = "hf:"
"""What the names of models on the Hugging Face Hub begin with."""

_ON_HUB = re.compile(
    r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/(?P<repository>[^/?#]+/[^/?#]+)"
    r"(?:/(?:blob|resolve|raw|tree)/[^/?#]+(?:/(?P<file>[^?#]+\.gguf))?)?/?(?:[?#].*)?"
)


def own_model_file(path: str, *, known: Iterable[str] = (), form: str = "") -> Path:
    """Return the path of a GGUF file, with a leading `~` expanded.

    Raises ModelError if there is none or it is of another format; the message offers the `known` names of models,
    and the `form` of others.
    """
    if "://" in path:
        raise ModelError(_address_message(path))
    file = at_home(path)
    known = list(known)
    offered = ", ".join([*known, *([form] if form else [])])
    names = f"give one of {offered} or" if offered else "give"
    try:
        with file.open("rb") as opened:
            magic = opened.read(len(GGUF_MAGIC))
    except IsADirectoryError as error:
        found = sorted(each.name for each in file.glob("*.gguf"))
        here = f"name one of its GGUF files, {', '.join(found)}"
        other = f"{names} the path of a GGUF file, or have vLLM serve the directory (--profile vllm)"
        raise ModelError(f"{file} is a directory: {here if found else other}") from error
    except OSError as error:
        reason = f"({error.strerror}){did_you_mean(path, known)}"
        raise ModelError(f"no model {str(file)!r} {reason}: {names} the path of a GGUF file") from error
    if magic != GGUF_MAGIC:
        raise ModelError(f"{file} is not a GGUF file: convert the model to GGUF or {names} the path of another one")
    return file


def _address_message(text: str) -> str:
    """What is said of an address in place of a path, with the name of what lies there on the Hub."""
    found = _ON_HUB.fullmatch(text)
    if found is None:
        return f"{text} is an address: download the model and give the path of its GGUF file"
    file = found["file"] or ""
    return f"{text} is an address: name the model {HUB_PREFIX}{found['repository']}{f'/{file}' if file else ''}"


def at_home(path: str) -> Path:
    """Return the path with a leading `~` expanded. Raises ModelError if there is no such home directory."""
    try:
        return Path(expand_home(path))
    except ValueError as error:
        raise ModelError(str(error)) from error
