"""The command line of a vLLM server, and smaller settings to fall back to after failures."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

from agent.config import EngineConfig, VllmConfig
from agent.engine.vllm.processor import quick_dtype

SERVED_NAME = "model"
VLLM_ENVIRONMENT: Mapping[str, str] = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
_MIN_MEMORY_UTILIZATION = 0.5
# Arguments that say how graphs are made, how many tokens a step has, or how many sequences.
_OWN_GRAPHS = (
    *("--compilation-config", "-cc", "-O", "--cudagraph", "--cuda-graph", "--max-cudagraph", "--performance-mode"),
    *("--spec", "-sc", "--max-num-seqs"),
)
_MOST_CAPTURED = 256  # vLLM's own choice is coarser above and has a bound


@dataclass(frozen=True, slots=True)
class LaunchSettings:
    """Settings to start the server with; `name` describes how they differ from the profile's."""

    name: str
    settings: VllmConfig


def launch_settings(settings: VllmConfig) -> tuple[LaunchSettings, ...]:
    """Return the profile's settings, then smaller ones, then a last resort that trades speed for memory.

    First half the sequences and 0.08 less memory; then eager mode (capturing CUDA graphs takes memory), a quarter of
    the sequences and 0.15 less memory. The context length stays: running lanes need it.
    """
    smaller = settings.model_copy(
        update={
            "gpu_memory_utilization": max(_MIN_MEMORY_UTILIZATION, settings.gpu_memory_utilization - 0.08),
            "max_num_seqs": max(1, settings.max_num_seqs // 2),
        }
    )
    last = settings.model_copy(
        update={
            "gpu_memory_utilization": max(_MIN_MEMORY_UTILIZATION, settings.gpu_memory_utilization - 0.15),
            "max_num_seqs": max(1, settings.max_num_seqs // 4),
            "enforce_eager": True,
        }
    )
    return (
        LaunchSettings("as configured", settings),
        LaunchSettings("with less memory and half the sequences", smaller),
        LaunchSettings("in eager mode with a quarter of the sequences, the last resort", last),
    )


def server_command(engine: EngineConfig, settings: VllmConfig, port: int) -> list[str]:
    """Return the command that serves on `port` of this machine only.

    It runs a module, as the `vllm` command is missing where the package has another name (the CPU build).
    """
    flags: dict[str, object] = {
        "--model": engine.model,
        "--served-model-name": SERVED_NAME,
        "--host": "127.0.0.1",
        "--port": port,
        "--max-model-len": engine.context_tokens,
        "--max-num-seqs": settings.max_num_seqs,
        "--dtype": _dtype(settings),
        "--load-format": settings.load_format,
        "--kv-cache-dtype": settings.kv_cache_dtype,
        "--generation-config": "vllm",  # the model's own one might cap the tokens of a reply, besides its defaults
        "--tensor-parallel-size": settings.tensor_parallel_size,
        "--uvicorn-log-level": "warning",
    }
    optional: dict[str, object] = {
        "--quantization": settings.quantization,
        "--max-num-batched-tokens": settings.max_num_batched_tokens,
        "--data-parallel-size": settings.data_parallel_size if settings.data_parallel_size > 1 else 0,
        "--gpu-memory-utilization": settings.gpu_memory_utilization if settings.gpu != "cpu" else 0,
        "--reasoning-parser": settings.reasoning_parser,
    }
    flags |= {flag: value for flag, value in optional.items() if value}
    words = [str(word) for flag in flags.items() for word in flag]
    switches = ["--enable-prefix-caching", "--enable-prompt-tokens-details"]
    switches += ["--enforce-eager"] if settings.enforce_eager else []
    switches += ["--cudagraph-capture-sizes", *map(str, sizes)] if (sizes := capture_sizes(settings)) else []
    python = settings.python or sys.executable
    return [python, "-m", "vllm.entrypoints.openai.api_server", *words, *switches, *settings.extra_args]


def capture_sizes(settings: VllmConfig) -> list[int]:
    """Return the numbers of sequences for which CUDA graphs are captured: up to as many as are computed at a time.

    vLLM's own choice goes up to twice as many, which costs time and memory at the start. Empty where that is kept:
    without graphs, above 256 sequences, and where arguments of the user's own say how graphs are made, how many
    sequences are computed at a time, or that a step has several tokens of each.
    """
    own = any(word.replace("_", "-").startswith(_OWN_GRAPHS) for word in settings.extra_args)
    if own or settings.enforce_eager or settings.gpu == "cpu" or settings.max_num_seqs > _MOST_CAPTURED:
        return []
    most = settings.max_num_seqs
    return sorted({*(size for size in (1, 2, 4) if size <= most), *range(8, most + 1, 8), most})


def _dtype(settings: VllmConfig) -> str:
    return quick_dtype() if settings.gpu == "cpu" and settings.dtype == "auto" else settings.dtype
