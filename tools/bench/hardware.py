"""What the hardware bounds: the roofline of a configuration on the machine that it is measured on."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np

from agent.config import Config
from agent.hardware.detect import CPU, find_gpus, profile_plan, read_model
from agent.hardware.devices import KNOWN_DEVICES, Device


def bounding_device(config: Config) -> Device | None:
    """Return the hardware of a configuration with a vLLM of ours, None where that is not known.

    It is what the profile names, or else the GPU found. Of a CPU only the memory's bandwidth counts as a bound, which
    is measured here, for about a second.
    """
    if config.engine.kind != "vllm":
        return None
    if config.vllm.gpu != CPU:
        found = next((gpu.device for gpu in find_gpus()), None)
        return KNOWN_DEVICES.get(config.vllm.gpu, found)
    values = np.ones(1 << 27, dtype=np.float32)
    spans = []
    for _ in range(3):
        started = time.perf_counter()
        values.sum()
        spans.append(time.perf_counter() - started)
    return replace(KNOWN_DEVICES["H200"], name=CPU, bandwidth=values.nbytes / min(spans), flops=math.inf)


def roofline(config: Config, device: Device | None, context: float) -> float | None:
    """Return the tokens/s that the device allows to the configured lanes at a mean context length in tokens.

    None where device or model are not known.
    """
    model = read_model(config)
    if model is None or device is None:
        return None
    plan = profile_plan(config, model, device)
    return plan.tokens_per_second(config.sample.count, context) if plan else None
