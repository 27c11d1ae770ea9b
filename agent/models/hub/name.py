"""Models on the Hugging Face Hub by the names that people give them: `hf:owner/repository/file.gguf@sha256`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from agent.errors import ModelError
from agent.models.own_file import HUB_PREFIX

_REPOSITORY = r"(?P<repository>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)"
_NAME = re.compile(rf"{_REPOSITORY}(?:/(?P<file>[^@]+))?(?:@(?P<pin>.+))?", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}")
_REVISION = re.compile(r"[\w][\w./-]*", re.ASCII)
_SPLIT = re.compile(r"-\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HubName:
    """A model on the Hub: a GGUF file of a repository, or, with "" as the file, the repository as a directory.

    `pin` says which version: the SHA-256 of a file, a revision of a repository (a branch, tag or commit); with "" it is
    the one that the Hub has now.
    """

    repository: str
    file: str = ""
    pin: str = ""

    def __str__(self) -> str:
        file, pin = f"/{self.file}" * bool(self.file), f"@{self.pin}" * bool(self.pin)
        return f"{HUB_PREFIX}{self.repository}{file}{pin}"

    def pinned(self, pin: str) -> HubName:
        """The same model, of this version."""
        return replace(self, pin=pin)


def parse_hub_name(text: str) -> HubName | None:
    """Parse the name of a model on the Hub; None for any text that does not begin with `hf:`.

    Raises ModelError, saying how it is written, for one that is none.
    """
    if not text.startswith(HUB_PREFIX):
        return None
    found = _NAME.fullmatch(text.removeprefix(HUB_PREFIX))
    if found is None:
        raise ModelError(
            f"{text!r} is no name of a model on the Hugging Face Hub: write hf:owner/repository for vLLM, or "
            "hf:owner/repository/file.gguf, with @ and its SHA-256 behind that where it has to be this very file"
        )
    name = HubName(found["repository"], found["file"] or "", (found["pin"] or ""))
    return _checked_file(name) if name.file else _checked_repository(name)


def _checked_file(name: HubName) -> HubName:
    if not name.file.lower().endswith(".gguf"):
        raise ModelError(
            f"{name} names no GGUF file: name one, or give {HUB_PREFIX}{name.repository} alone for vLLM, which takes "
            "the whole repository"
        )
    if {"", ".", ".."} & set(name.file.split("/")):
        raise ModelError(f"{name} is no path within a repository: write it as on the Hub's page of the file")
    if _SPLIT.search(name.file):
        raise ModelError(
            f"{name} is one of several parts of a model: name a GGUF file that holds all of it, or join the parts with "
            "llama-gguf-split --merge and give the path"
        )
    pin = name.pin.lower()
    if pin and not _DIGEST.fullmatch(pin):
        raise ModelError(
            f"{name}: behind the @ of a file comes its SHA-256, 64 hexadecimal digits as on the Hub's page of it: give "
            "that, or leave it out"
        )
    return name.pinned(pin)


def _checked_repository(name: HubName) -> HubName:
    if name.pin and (not _REVISION.fullmatch(name.pin) or ".." in name.pin):
        raise ModelError(f"{name}: behind the @ of a repository comes a revision: give a branch, tag or commit of it")
    return name


def short_name(model: str) -> str:
    """What a model is called without its directories and, if it is on the Hub, without what says which version it is.

    >>> short_name("hf:Qwen/QwQ-32B@0123abc"), short_name("/models/QwQ-32B-AWQ")
    ('QwQ-32B', 'QwQ-32B-AWQ')
    """
    return Path(model.partition("@")[0] if model.startswith(HUB_PREFIX) else model).name
