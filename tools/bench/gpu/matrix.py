"""The matrix of what is measured: ways to serve a model, each with several numbers of lanes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from agent.config import Config, override_config
from agent.errors import ConfigError

WEIGHT_FORMATS = ("stored", "fp8", "awq")
"""The weights as their files hold them, made FP8 by vLLM as it loads them, or 4 bits of an AWQ likeness (random)."""
KV_CACHES = ("auto", "fp8")
SPECULATIONS: Mapping[str, Mapping[str, Any]] = {
    "none": {},
    "ngram": {"method": "ngram", "num_speculative_tokens": 5, "prompt_lookup_min": 2, "prompt_lookup_max": 5},
    "suffix": {"method": "suffix"},
}
"""What `--speculative-config` holds, by the name of the speculation."""
_OWN_FLAGS = ("--speculative", "-sc", "--spec-", "--kv-cache-dtype", "--quantization", "-q")


@dataclass(frozen=True, slots=True)
class ServingVariant:
    """A way to serve the model: one of WEIGHT_FORMATS, KV_CACHES and SPECULATIONS each."""

    weights: str
    kv_cache: str
    speculation: str

    @property
    def name(self) -> str:
        """Its name in tables."""
        speculation = "no speculation" if self.speculation == "none" else self.speculation
        return f"{self.weights} weights, KV {self.kv_cache}, {speculation}"

    @property
    def slug(self) -> str:
        """Its name in files."""
        return f"{self.weights}-{self.kv_cache}-{self.speculation}"

    def served(self, config: Config) -> Config:
        """Return the configuration served this way."""
        args = list(config.vllm.extra_args)
        if self.speculation != "none":
            args += ["--speculative-config", json.dumps(SPECULATIONS[self.speculation])]
        keys = {
            "vllm.quantization": "fp8" if self.weights == "fp8" else "",
            "vllm.kv_cache_dtype": self.kv_cache,
            "vllm.extra_args": args,
        }
        return override_config(config, keys)


@dataclass(frozen=True, slots=True)
class ServingMatrix:
    """The values of each axis, the usual one first; `lanes` are samples drawn at a time."""

    weights: tuple[str, ...]
    kv_caches: tuple[str, ...]
    speculations: tuple[str, ...]
    lanes: tuple[int, ...]

    @property
    def variants(self) -> list[ServingVariant]:
        """All ways to serve, in the order in which they are of use.

        First what is usual, then all that depart from it in one axis, which tell what each choice is worth, then in
        two, and so on.
        """
        axes = (self.weights, self.kv_caches, self.speculations)
        found = product(*(enumerate(axis) for axis in axes))
        ordered = sorted(found, key=lambda places: sum(place > 0 for place, _ in places))  # stable
        return [ServingVariant(*(value for _, value in places)) for places in ordered]


def check_extra_args(args: Sequence[str]) -> None:
    """Raise ConfigError if arguments of the server's set what the matrix varies, in any spelling that vLLM takes."""
    own = next((word for word in args if _is_own(word)), None)
    if own is not None:
        raise ConfigError(
            f"vllm.extra_args holds {own}, which the matrix varies: leave it out of the profile, and choose with "
            "--weights, --kv or --speculation"
        )


def _is_own(word: str) -> bool:
    """Whether a word is one of the matrix's flags; vLLM takes an underscore for a dash, and the beginning of a name."""
    name = word.partition("=")[0].replace("_", "-")
    is_beginning = len(name) > len("--") and name.startswith("--") and any(flag.startswith(name) for flag in _OWN_FLAGS)
    return is_beginning or name.startswith(_OWN_FLAGS)
