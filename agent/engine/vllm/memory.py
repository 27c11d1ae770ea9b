"""The memory of a vLLM server: what weights and KV cache have, by its own log, and what the driver says of the GPUs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from agent.events import ServerMemory
from agent.hardware.detect import CPU, used_memory

_GIB = r"(\d{1,9}(?:\.\d{1,9})?) ?Gi?B"
_WEIGHTS = re.compile(rf"Model loading took {_GIB}")
# The second where vllm.extra_args give the size, which vLLM then measures no more.
_KV_CACHE = re.compile(rf"Available KV cache memory: {_GIB}|, reserved {_GIB} memory for KV Cache")
_KV_TOKENS = re.compile(r"KV cache size: ([\d,]{1,20}) tokens")


def server_memory(lines: Iterable[str], gpu: str) -> ServerMemory:
    """The memory of a server that is up: of `memory_told`, and as nvidia-smi tells unless its `gpu` is the CPU."""
    told = memory_told(lines)
    gpus = None if gpu == CPU else used_memory()
    return told if gpus is None else replace(told, used_gib=gpus[0] / 2**30, total_gib=gpus[1] / 2**30)


def memory_told(lines: Iterable[str]) -> ServerMemory:
    """What the log of one start tells. Never raises.

    Where several processes tell the same, as of several GPUs, it is the most that weights take and the least that the
    KV cache has.
    """
    weights, cache, tokens = list[float](), list[float](), list[int]()
    for line in lines:
        if found := _WEIGHTS.search(line):
            weights.append(float(found[1]))
        if found := _KV_CACHE.search(line):
            cache.append(float(found[1] or found[2]))
        if (found := _KV_TOKENS.search(line)) and (digits := found[1].replace(",", "")):
            tokens.append(int(digits))
    return ServerMemory(max(weights, default=None), min(cache, default=None), min(tokens, default=None))
