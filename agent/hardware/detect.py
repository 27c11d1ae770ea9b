"""Detect this machine's GPUs, and check a vLLM profile against them before anything is loaded."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from agent.config import Config, load_config, profile_names
from agent.errors import ConfigError
from agent.hardware.capacity import CapacityPlan, plan_capacity
from agent.hardware.devices import KNOWN_DEVICES, Device
from agent.hardware.model_config import described_model
from agent.hardware.shapes import BF16_BITS, FP8_BITS, ModelShape, known_model

CPU = "cpu"
CPU_KV_SPACE = "VLLM_CPU_KVCACHE_SPACE"  # vLLM's own variable: GiB for the KV cache where there is no GPU

_QUERY_SECONDS = 10.0
# Drivers report less than the data sheet: firmware and error correction take some.
_LEAST_MEMORY_SHARE = 0.9
# As nvidia-smi calls them. Slower boards (H100 PCIe, H100 NVL, Max-Q) and slices (MIG) are left out.
_NAMES = {
    "L4": re.compile(r"\bL4\b"),
    "T4": re.compile(r"\bT4\b"),
    "A100-80": re.compile(r"\bA100\b.*\b80GB"),
    "H100": re.compile(r"\bH100 80GB HBM3\b"),
    "H200": re.compile(r"\bH200\b"),
    "RTX PRO 6000": re.compile(r"\bRTX PRO 6000 Blackwell (Server|Workstation)\b"),
}
_UNSUPPORTED = re.compile(r"\b(?:P100|P40|P4|M60|M40|K80)\b")  # by vLLM: compute capability below 7.0
_BEFORE_AMPERE = re.compile(r"\b(?:V100|RTX 20\d\d|GTX 16\d\d)\b")  # those that vLLM supports, beside the T4


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU as listed by the driver; its memory in bytes, 0 where the driver does not report it."""

    name: str
    memory_bytes: int

    @property
    def device(self) -> Device:
        """The known device with the memory found here; without bandwidth if it is not a known one."""
        kind = next((kind for kind, pattern in _NAMES.items() if pattern.search(self.name)), None)
        if kind is None or "MIG" in self.name:
            return Device(self.name, self.memory_bytes, since_ampere=not _BEFORE_AMPERE.search(self.name))
        return replace(KNOWN_DEVICES[kind], memory_bytes=self.memory_bytes)


def unsupported_gpu(gpus: Sequence[Gpu]) -> str:
    """Return that vLLM does not run on the first of these GPUs that is too old for it, "" if none is."""
    old = next((gpu.name for gpu in gpus if _UNSUPPORTED.search(gpu.name)), None)
    return f"vLLM does not run on a {old}: take another GPU, or a GGUF model, which runs on the CPU" if old else ""


def find_gpus(timeout: float = _QUERY_SECONDS) -> tuple[Gpu, ...]:
    """Return the GPUs that nvidia-smi lists; none if it is missing, fails, or takes longer than `timeout` seconds."""
    return parse_gpus(_queried("name,memory.total", timeout))


def used_memory(timeout: float = _QUERY_SECONDS) -> tuple[int, int] | None:
    """Return the bytes in use on all GPUs and those they have; None where nvidia-smi does not tell, as `find_gpus`."""
    rows = [line.split(",") for line in _queried("memory.used,memory.total", timeout).splitlines()]
    used, total = (sum(_mebibytes(row[place]) for row in rows if len(row) == 2) for place in (0, 1))
    return (used, total) if used and total else None


def _queried(fields: str, timeout: float) -> str:
    """What nvidia-smi tells of each GPU, a line each; "" if it is missing, fails or takes too long."""
    command = ("nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits")
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace")


def parse_gpus(text: str) -> tuple[Gpu, ...]:
    """Parse nvidia-smi's lines of a name, a comma and MiB; other lines are ignored."""
    rows = (line.rpartition(",") for line in text.splitlines())
    return tuple(Gpu(name.strip(), _mebibytes(memory)) for name, comma, memory in rows if comma and name.strip())


def read_model(config: Config) -> ModelShape | None:
    """Return the shape of the profile's model, from its config.json or else by its name; None if unknown.

    Raises ConfigError for a file that cannot be read.
    """
    description = read_description(Path(config.engine.model))
    shape = known_model(config.engine.model) if description is None else described_model(description)
    return _as_loaded(config, shape)


def read_description(folder: Path) -> Mapping[str, Any] | None:
    """Return what the config.json of a model's directory holds; None where there is none.

    Raises ConfigError for a file that cannot be read.
    """
    path = folder / "config.json"
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read ({error}): fetch the model again") from error
    if not isinstance(description, dict):
        raise ConfigError(f"{path} is not a JSON object: fetch the model again")
    return description


def profile_plan(config: Config, model: ModelShape, device: Device) -> CapacityPlan | None:
    """Return the capacity plan of a vLLM profile on the number of devices that it asks for.

    None on a CPU if the profile does not set the size of the KV cache. Raises ConfigError if that is not a number.
    """
    settings = config.vllm
    kv_space = _cpu_kv_space(config) if settings.gpu == CPU else None
    if settings.gpu == CPU and kv_space is None:
        return None
    return plan_capacity(
        model,
        device,
        context_tokens=config.engine.context_tokens,
        parallel=settings.tensor_parallel_size,
        replicas=settings.data_parallel_size,
        kv_element_bytes=1 if settings.kv_cache_dtype == "fp8" else 2,
        memory_share=settings.gpu_memory_utilization,
        kv_space_bytes=kv_space,
    )


def check_profile(config: Config, gpus: Sequence[Gpu]) -> None:
    """Raise ConfigError if a vLLM profile cannot run on these GPUs, saying what was found and what to set.

    Other engines pass. For a model of unknown shape only the number and the kind of the GPUs are checked.
    """
    if config.engine.kind == "vllm" and (problem := profile_problem(config, gpus)):
        raise ConfigError(f"profile {config.profile}: {problem}")


def profile_problem(config: Config, gpus: Sequence[Gpu]) -> str:
    """Return why a vLLM profile cannot run on these GPUs, "" if it can. Raises ConfigError for an unreadable model."""
    settings = config.vllm
    if not config.engine.model:
        return "engine.model is empty: give the directory or the name of a model (--model)"
    if settings.gpu not in ("", CPU, *KNOWN_DEVICES):
        return f"vllm.gpu is {settings.gpu!r}: give one of {', '.join(KNOWN_DEVICES)}, cpu, or nothing for any GPU"
    if settings.gpu == CPU:
        return _memory_problem(config, Device(CPU, 0))
    needed = settings.tensor_parallel_size * settings.data_parallel_size
    if len(gpus) < needed:
        return _count_problem(config, needed, gpus)
    if old := unsupported_gpu(gpus[:needed]):
        return old
    device = min((gpu.device for gpu in gpus[:needed]), key=lambda device: device.memory_bytes)
    if not device.since_ampere and settings.dtype == "bfloat16":
        return f"the {device.name} found has no bfloat16: set vllm.dtype to 'half'"
    if not device.since_ampere and settings.kv_cache_dtype == "fp8":
        return f"the {device.name} found has no FP8 KV cache: set vllm.kv_cache_dtype to 'auto'"
    return _memory_problem(config, device) if device.memory_bytes else ""


def kv_cache_warning(config: Config) -> str:
    """Return why the precision of a vLLM profile's KV cache may ruin its model, "" where nothing is known against it.

    Raises ConfigError for an unreadable model.
    """
    if config.engine.kind != "vllm" or config.vllm.kv_cache_dtype != "fp8":
        return ""
    model = read_model(config)
    if model is None or not model.key_bias:
        return ""
    return (
        "a KV cache in FP8 rounds the keys of this model's architecture, Qwen2's, so coarsely that smaller models of "
        "it write other answers: set vllm.kv_cache_dtype to 'auto'"
    )


def lesser_gpus(config: Config, gpus: Sequence[Gpu]) -> str:
    """Say which GPUs found are lesser ones than `vllm.gpu`, for which the profile is sized; "" if none is.

    Those of another kind are if their memory or bandwidth is less, or not known.
    """
    wanted = KNOWN_DEVICES.get(config.vllm.gpu)
    used = gpus[: config.vllm.tensor_parallel_size * config.vllm.data_parallel_size]
    if wanted is None or not any(_is_lesser(gpu.device, wanted) for gpu in used):
        return ""
    return (
        f"the profile {config.profile} is sized for the {wanted.name}, and nvidia-smi shows {describe(used)}: expect "
        "less of it, use a profile for these, or set vllm.gpu to '' if they are as good"
    )


def _is_lesser(device: Device, wanted: Device) -> bool:
    if device.bandwidth is None or wanted.bandwidth is None:
        return True
    return device.bandwidth < wanted.bandwidth or 0 < device.memory_bytes < _LEAST_MEMORY_SHARE * wanted.memory_bytes


def describe(gpus: Sequence[Gpu]) -> str:
    """Describe the GPUs, like "4 x NVIDIA L4"."""
    names = dict.fromkeys(gpu.name for gpu in gpus)
    return ", ".join(f"{sum(gpu.name == name for gpu in gpus)} x {name}" for name in names) or "no GPU"


def _memory_problem(config: Config, device: Device) -> str:
    model = read_model(config)
    plan = None if model is None else profile_plan(config, model, device)
    return "" if plan is None else plan.reason


def _count_problem(config: Config, needed: int, gpus: Sequence[Gpu]) -> str:
    fitting = [name for name in profile_names() if name != config.profile and _fits(name, gpus)]
    kind = f"{config.vllm.gpu} GPU" if config.vllm.gpu else "GPU"
    smaller = f", or set vllm.tensor_parallel_size to at most {len(gpus)}" if gpus else ""
    return (
        f"it needs {needed} {kind}{'s' if needed > 1 else ''} and nvidia-smi shows {describe(gpus)}: "
        f"use a profile that fits ({', '.join(fitting)}){smaller}"
    )


def _fits(name: str, gpus: Sequence[Gpu]) -> bool:
    """Whether a bundled profile can start an engine on this machine."""
    config = load_config(name)
    if config.engine.kind != "vllm":
        return config.engine.kind == "embedded"
    needed = config.vllm.tensor_parallel_size * config.vllm.data_parallel_size
    return (config.vllm.gpu == CPU or len(gpus) >= needed) and not profile_problem(config, gpus)


def _as_loaded(config: Config, model: ModelShape | None) -> ModelShape | None:
    """Return the model as the server holds it in memory, possibly quantized while loading."""
    if model is None or config.vllm.quantization != "fp8" or {model.weight_bits, model.expert_bits} != {BF16_BITS}:
        return model
    return model.quantized(FP8_BITS)


def _cpu_kv_space(config: Config) -> float | None:
    """Return the bytes that the profile reserves for the KV cache on a CPU."""
    text = config.vllm.environment.get(CPU_KV_SPACE)
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,6}(\.\d+)?", text):
        raise ConfigError(f"vllm.environment.{CPU_KV_SPACE} is {text!r}: give a number of GiB, like '4'")
    return float(text) * 2**30


def _mebibytes(text: str) -> int:
    """Convert a number of MiB to bytes; 0 for the driver's placeholder for an unknown size."""
    stripped = text.strip()
    return int(stripped) << 20 if re.fullmatch(r"[0-9]{1,9}", stripped) else 0
