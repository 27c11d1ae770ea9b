"""Published figures to compare ours with."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.models.hub.name import short_name

_FILE = Path(__file__).parent / "published.toml"
# Parts of a name that only say how the weights are stored.
_STORED = re.compile(r"(?:awq|gptq|gguf|fp8|bf16|int[48]|w[48]a(?:8|16)|bnb|[48]bit|i?q\d[0-9a-z]*)*")


@dataclass(frozen=True, slots=True)
class Published:
    """One figure: of `model` on `set`, in percent, by `metric` ("pass@1", "maj@64")."""

    set: str
    model: str
    metric: str
    percent: float
    source: str

    def is_of(self, model: str) -> bool:
        """Whether a model of this name is the same, however its weights are stored.

        >>> Published("", "QwQ-32B", "", 0, "").is_of("/models/Qwen/qwq-32b-awq")
        True
        >>> Published("", "QwQ-32B", "", 0, "").is_of("hf:Qwen/QwQ-32B-GGUF/qwq-32b-q4_k_m.gguf@0123")
        True
        """
        name, own = _plain(short_name(model).removesuffix(".gguf")), _plain(self.model)
        return name.startswith(own) and _STORED.fullmatch(name.removeprefix(own)) is not None


def published_figures(set_name: str) -> list[Published]:
    """Return all figures of a set, in the file's order."""
    figures = tomllib.loads(_FILE.read_text(encoding="utf-8"))["figure"]
    return [Published(**figure) for figure in figures if figure["set"] == set_name]


def same_model(figures: Sequence[Published], model: str, metric: str) -> list[Published]:
    """Return those of the same model by the same metric."""
    return [figure for figure in figures if figure.metric == metric and figure.is_of(model)]


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
