"""The decoding speed that a run expects before it has measured any: by its hardware and the check of its model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean, geometric_mean

from agent.config import Config
from agent.hardware.capacity import PLANNED_SHARE
from agent.hardware.detect import Gpu, profile_plan, read_model
from agent.hardware.devices import KNOWN_DEVICES, Device
from agent.policy.planning.speed import CONTEXT, DecodingSpeed, TimedLanes, learnt_speed
from agent.types import Learnt

_LANES = 16
_LEAST_TOKENS = 200  # the time of fewer tells how long a stream takes to begin


def expected_speed(roofline: DecodingSpeed | None, checks: Sequence[Learnt]) -> DecodingSpeed | None:
    """Return the speed that lanes had in the `checks` of the served model, as far as growing contexts slow a roofline.

    Without a check that took long enough it is the `roofline` itself. None where neither is known.
    """
    timed = [
        TimedLanes(each.lanes, each.tokens, each.seconds)
        for each in checks
        if each.seconds is not None and each.tokens >= _LEAST_TOKENS
    ]
    if roofline is None or not timed:
        return learnt_speed(timed) if timed else roofline
    slower = geometric_mean(each.seconds / roofline.seconds(each.tokens, each.lanes) for each in timed)
    return replace(roofline, first=roofline.first * slower)


def roofline_speed(config: Config, gpus: Sequence[Gpu]) -> DecodingSpeed | None:
    """Return the usual share of the roofline of a vLLM profile's model on the GPUs found, or those it is sized for.

    None for other engines, and where the model or the GPU is not known. Raises ConfigError for a model that cannot be
    read.
    """
    device = _device(config, gpus)
    if config.engine.kind != "vllm" or device is None or (model := read_model(config)) is None:
        return None
    plan, share = profile_plan(config, model, device), fmean(PLANNED_SHARE)

    def step(lanes: int, contexts: float) -> float:
        throughput = plan and plan.tokens_per_second(lanes, contexts / lanes)
        assert throughput, "the device's bandwidth and operations are known"
        return lanes / throughput / share

    return speed_of_steps(step)


def speed_of_steps(step: Callable[[int, float], float]) -> DecodingSpeed:
    """Return the speed of steps that take so many seconds with a number of lanes and the tokens in all their contexts.

    It is exact for one lane and for 16, each with an empty context, and for 160,000 tokens in the contexts of these.
    """
    alone, together, crowded = step(1, 0.0), step(_LANES, 0.0), step(_LANES, CONTEXT)
    return DecodingSpeed(alone, (together / alone - 1) / (_LANES - 1), (crowded - together) / alone)


def _device(config: Config, gpus: Sequence[Gpu]) -> Device | None:
    """The slowest of the devices that are used; None where the bandwidth of one is not known."""
    used = gpus[: config.vllm.tensor_parallel_size * config.vllm.data_parallel_size]
    sized_for = KNOWN_DEVICES.get(config.vllm.gpu)
    found = [gpu.device for gpu in used] or [device for device in (sized_for,) if device is not None]
    slowest = min(found, key=lambda device: device.bandwidth or 0.0, default=None)
    return slowest if slowest is not None and slowest.bandwidth is not None else None
