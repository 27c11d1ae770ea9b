"""Safer settings for a server whose model writes nonsense: first those that are known to ruin models, one by one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent.config import Config

# vLLM takes an underline for a dash, a value in the same word, and parts of the value as flags of their own.
_SPECULATION = re.compile(r"(?:--speculative[-_]|--num[-_]speculative[-_]|-sc\b|--spec[-_])")
_KV_CACHE_DTYPE = re.compile(r"--kv[-_]cache[-_]dtype\b")


@dataclass(frozen=True, slots=True)
class SaferStep:
    """Dotted configuration keys to set before the next attempt; `name` says what they do."""

    name: str
    keys: dict[str, Any]


def safer_steps(config: Config) -> tuple[SaferStep, ...]:
    """The steps that change something, each on top of those before it; none where the server is not ours.

    The KV cache in 16 bits instead of 8, then no speculation, then eager mode, without CUDA graphs.
    """
    settings = config.vllm
    if config.engine.kind != "vllm":
        return ()
    steps = []
    words = without_flag(settings.extra_args, _KV_CACHE_DTYPE)
    keys: dict[str, Any] = {} if words == settings.extra_args else {"vllm.extra_args": list(words)}
    if settings.kv_cache_dtype != "auto":
        keys["vllm.kv_cache_dtype"] = "auto"
    if keys:
        steps.append(SaferStep("its KV cache in 16 bits", keys))
    plain = without_flag(words, _SPECULATION)
    if plain != words:
        steps.append(SaferStep("no speculation", {"vllm.extra_args": list(plain)}))
    if not settings.enforce_eager and not {"--enforce-eager", "--enforce_eager"} & set(plain):
        steps.append(SaferStep("eager mode", {"vllm.enforce_eager": True}))
    return tuple(steps)


def without_flag(words: Sequence[str], flag: re.Pattern[str]) -> tuple[str, ...]:
    """The words of a command line without the flags that match at their beginning, and without their values."""
    kept: list[str] = []
    dropped = False
    for word in words:
        if word.startswith("-"):
            dropped = flag.match(word) is not None
        if not dropped:
            kept.append(word)
    return tuple(kept)
