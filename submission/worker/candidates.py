"""The attached models in the order in which they are tried: those that are named first, then the largest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.errors import ConfigError, ModelError
from agent.hardware.detect import read_description
from agent.models.chat_template import names_of_model

_WRITES_NONE = re.compile(r"(Classification|RewardModel|MaskedLM|QuestionAnswering)$")
_EMBEDDING_FILE = "modules.json"  # which Sentence Transformers read
_WORD = re.compile(r"[a-z0-9.]+")


@dataclass(frozen=True, slots=True)
class Candidate:
    """An attached model, a directory for vLLM or a GGUF file for llama.cpp; its weights have `size` bytes."""

    path: Path
    size: int

    @property
    def is_directory(self) -> bool:
        """Whether vLLM serves it, and not llama.cpp."""
        return self.path.suffix != ".gguf"

    def __str__(self) -> str:
        return f"{self.path} ({self.size / 1e9:.1f} GB)"


def ranked_candidates(models: Sequence[str], *, named: str, sources: Sequence[str]) -> list[Candidate]:
    """The models at these paths, the likeliest first; directories come before GGUF files.

    First those that share the most words with `named`, the name of a profile's model; then those of the earliest of the
    `sources`, Kaggle's names of what is attached; then the largest.
    """

    def rank(candidate: Candidate) -> tuple[bool, int, int, int, str]:
        shared = len(_words(Path(named).name) & _words(_names(candidate.path)))
        attached = next((place for place, source in enumerate(sources) if _is_of(candidate, source)), len(sources))
        return not candidate.is_directory, -shared, attached, -candidate.size, str(candidate.path)

    return sorted((Candidate(path, _size(path)) for path in map(Path, models)), key=rank)


def check_writes_text(candidate: Candidate) -> None:
    """Raise ConfigError for a directory with a model that judges or compares texts, and writes none.

    Such reward and embedding models have the chat template of the model that they were made from.
    """
    kinds = (read_description(candidate.path) or {}).get("architectures") if candidate.is_directory else None
    found = [kind for kind in kinds if _WRITES_NONE.search(str(kind))] if isinstance(kinds, list) else []
    if found or (candidate.path / _EMBEDDING_FILE).is_file():
        raise ConfigError(f"it writes no text ({found[0] if found else _EMBEDDING_FILE}): attach one that does")


def _names(path: Path) -> str:
    try:
        return names_of_model(path)
    except ModelError:  # which is reported where the model is looked at
        return str(path)


def _words(name: str) -> set[str]:
    return set(_WORD.findall(name.lower()))


def _is_of(candidate: Candidate, source: str) -> bool:
    """Whether it is mounted from this source: its path has the source's parts but its owner and its version."""
    parts = {part for part in source.lower().split("/")[1:] if not part.isdigit()}
    return parts <= set(str(candidate.path).lower().split("/"))


def _size(path: Path) -> int:
    if path.suffix != ".gguf":
        return sum(map(_file_size, path.glob("*.safetensors")))
    stem, numbered, _ = path.name.partition("-00001-of-")
    files = path.parent.glob(f"{stem}-*-of-*.gguf") if numbered else [path]
    return sum(map(_file_size, files))


def _file_size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # a link that leads nowhere
        return 0
