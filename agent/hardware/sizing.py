"""Lanes, their context and the KV cache of a model on the GPUs that are there, where no profile is made for both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from agent.errors import ConfigError
from agent.hardware.capacity import MEMORY_SHARE, OVERHEAD_BYTES, CapacityPlan, plan_capacity
from agent.hardware.detect import Gpu, describe, unsupported_gpu
from agent.hardware.devices import Device
from agent.hardware.shapes import ModelShape

_MAX_LANES = 16
_PROMPT_SHARE = 12  # one part in so many of a lane's context is left to the prompt and the tools' output
# The context of a lane in tokens, and the lanes that have to fit at half of it, from the best to the least. Reasoning
# models lose answers below 16k tokens; a vote wants several lanes.
_GOOD = ((65_536, 16), (32_768, 8), (24_576, 8), (16_384, 8))
_POOR = ((16_384, 4), (8_192, 4), (8_192, 1), (4_096, 1))
# For a model of unknown shape, whose KV cache cannot be computed.
_UNKNOWN_CONTEXT, _UNKNOWN_LANES = 16_384, 8


@dataclass(frozen=True, slots=True)
class Sizing:
    """So many lanes of up to `context_tokens` on `parallel` GPUs, with a KV cache of the type that vLLM names."""

    lanes: int
    context_tokens: int
    parallel: int
    kv_cache_dtype: str
    half: bool  # the GPUs have no bfloat16

    @property
    def keys(self) -> dict[str, Any]:
        """The dotted keys that set this in a profile."""
        return {
            "engine.context_tokens": self.context_tokens,
            "sample.count": self.lanes,
            "sample.max_tokens": self.context_tokens - self.context_tokens // _PROMPT_SHARE,
            "vllm.max_num_seqs": self.lanes,
            "vllm.tensor_parallel_size": self.parallel,
            "vllm.kv_cache_dtype": self.kv_cache_dtype,
            "vllm.gpu_memory_utilization": MEMORY_SHARE,
            "vllm.dtype": "half" if self.half else "auto",
        }


def size_model(model: ModelShape, gpus: Sequence[Gpu], *, fp8_kv: bool = False) -> Sizing:
    """Return the best sizing of a model that fits the GPUs; `fp8_kv` allows a KV cache of 8 bits where 16 are too many.

    Raises ConfigError with the reason if not a single lane fits.
    """
    device = _smallest(gpus)
    parallel = max(size for size in range(1, len(gpus) + 1) if model.divides(size))
    for kv_cache_dtype, context, lanes in _steps(fp8_kv=fp8_kv and device.since_ampere):
        context = min(context, model.positions or context)
        plan = _plan(model, device, parallel, context, kv_cache_dtype)
        if plan.fits and (fitting := plan.lanes_at(plan.mean_context)) >= lanes:
            return Sizing(min(fitting, _MAX_LANES), context, parallel, kv_cache_dtype, not device.since_ampere)
    raise ConfigError(
        f"its weights of {model.weight_bytes / 1e9:.1f} GB and one lane do not fit the memory of "
        f"{describe(gpus[:parallel])}: take a smaller model or weights of fewer bits"
    )


def size_unknown(weight_bytes: int, gpus: Sequence[Gpu]) -> Sizing:
    """Return a sizing for a model of which only the size of its files is known.

    Raises ConfigError if these do not fit the GPUs.
    """
    device = _smallest(gpus)
    parallel = 1 << (len(gpus).bit_length() - 1)  # a power of two divides the heads of nearly every model
    if weight_bytes > parallel * (MEMORY_SHARE * device.memory_bytes - OVERHEAD_BYTES):
        raise ConfigError(
            f"its files of {weight_bytes / 1e9:.1f} GB do not fit the memory of {describe(gpus[:parallel])}: "
            "take a smaller model or weights of fewer bits"
        )
    return Sizing(_UNKNOWN_LANES, _UNKNOWN_CONTEXT, parallel, "auto", not device.since_ampere)


def _smallest(gpus: Sequence[Gpu]) -> Device:
    """Return the GPU with the least memory.

    Raises ConfigError where there is none, or one that vLLM does not support.
    """
    if not gpus:
        raise ConfigError("there is no GPU to run it on: turn one on, or attach a GGUF model, which runs on the CPU")
    if old := unsupported_gpu(gpus):
        raise ConfigError(old)
    return min((gpu.device for gpu in gpus), key=lambda device: device.memory_bytes)


def _steps(*, fp8_kv: bool) -> Iterator[tuple[str, int, int]]:
    for kv_cache_dtype, steps in (("auto", _GOOD), ("fp8", _GOOD if fp8_kv else ()), ("auto", _POOR)):
        for context, lanes in steps:
            yield kv_cache_dtype, context, lanes


def _plan(model: ModelShape, device: Device, parallel: int, context: int, kv_cache_dtype: str) -> CapacityPlan:
    element = 1 if kv_cache_dtype == "fp8" else 2
    return plan_capacity(model, device, context_tokens=context, parallel=parallel, kv_element_bytes=element)
