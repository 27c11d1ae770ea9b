"""KV-cache capacity and roofline throughput of a model on given GPUs.

The throughput is the roofline (Williams, Waterman and Patterson, 2009) of one decoding step: it takes as long as
reading the weights and the KV caches of all lanes, or as long as its arithmetic, whichever is longer. Bytes and
operations are plain counts, times are in seconds; 1 GB is 1e9 bytes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from agent.hardware.devices import Device
from agent.hardware.shapes import ModelShape

MEMORY_SHARE = 0.9
OVERHEAD_BYTES = 1.45e9  # for each GPU: activations, graphs, buffers of the collectives
MEAN_CONTEXT_SHARE = 0.5  # share of the limit: lanes grow towards it from a short prompt, and many end before
PLANNED_SHARE = (0.45, 0.60)  # share of the roofline; from L4s joined by PCIe, taken for all hardware

_MAX_PARALLEL = 16


@dataclass(frozen=True, slots=True)
class CapacityPlan:
    """A model on `replicas` groups of `parallel` devices each, with lanes of up to `context_tokens`.

    Each replica has the whole model, and `kv_bytes` for the KV caches of its lanes. `reason` says why the model does
    not fit and what to set; "" if it fits.
    """

    model: ModelShape
    device: Device
    parallel: int
    replicas: int
    kv_element_bytes: int
    kv_bytes: int
    context_tokens: int
    reason: str

    @property
    def fits(self) -> bool:
        """Whether a server of this plan starts."""
        return not self.reason

    @property
    def mean_context(self) -> int:
        """The mean context length of the running lanes to plan with, in tokens."""
        return round(MEAN_CONTEXT_SHARE * self.context_tokens)

    @property
    def kv_token_bytes(self) -> int:
        """Bytes that each token of a lane adds to the KV cache of its replica."""
        return round(self.model.kv_token_bytes(self.kv_element_bytes) * self._copies)

    @property
    def kv_tokens(self) -> int:
        """Tokens of context that all replicas hold, in lanes as long as the limit."""
        return self.kv_bytes * self.context_tokens // self.lane_bytes(self.context_tokens) * self.replicas

    def lane_bytes(self, context: int) -> int:
        """Return the bytes of a lane with so many tokens: they grow in full attention, and to the end of a window."""
        window_token = round(self.model.window_token_bytes(self.kv_element_bytes) * self._copies)
        windows = window_token * min(context, self.model.window)
        return self.kv_token_bytes * context + windows + self.model.state_bytes

    def lanes_at(self, mean_context: int) -> int:
        """Return the number of lanes that fit at a mean context length in tokens."""
        return self.kv_bytes // self.lane_bytes(mean_context) * self.replicas

    def tokens_per_second(self, lanes: int, mean_context: float) -> float | None:
        """Return the roofline throughput of all lanes; None where the device's bandwidth or operations are unknown.

        With W the bytes of weights that k lanes read, C those of a lane at mean context L, P the parameters active for
        a token and d the width of all heads, a step of k lanes takes max((W + k C) / bandwidth,
        k (2 P + 4 L d layers) / operations). The state of linear attention is read and written, so it counts twice.
        """
        if self.device.bandwidth is None or self.device.flops is None:
            return None
        model = self.model
        busy = max(1.0, lanes / self.replicas)  # lanes of one replica
        lane = self.lane_bytes(round(mean_context)) + model.state_bytes
        read = model.read_bytes(busy) + busy * lane
        attended = model.layers * mean_context + model.window_layers * min(mean_context, model.window)
        operations = busy * (2 * model.active_parameters + 4 * attended * model.heads * model.head_dim)
        step = max(read / self.device.bandwidth, operations / self.device.flops) / self.parallel
        return lanes / step

    def planned_tokens_per_second(self, lanes: int, mean_context: float) -> tuple[float, float] | None:
        """Return the throughput to plan with: low and high end of the share of the roofline that is usually reached."""
        bound = self.tokens_per_second(lanes, mean_context)
        return None if bound is None else (PLANNED_SHARE[0] * bound, PLANNED_SHARE[1] * bound)

    @property
    def _copies(self) -> float:
        """How many devices of a replica hold each KV head: it is copied where there are more devices than heads."""
        return max(1.0, self.parallel / self.model.kv_heads)


def plan_capacity(
    model: ModelShape,
    device: Device,
    *,
    context_tokens: int,
    parallel: int = 1,
    replicas: int = 1,
    kv_element_bytes: int = 2,
    memory_share: float = MEMORY_SHARE,
    kv_space_bytes: float | None = None,
) -> CapacityPlan:
    """Compute the plan of a model on `parallel` x `replicas` devices.

    The KV cache gets what the weights and a fixed overhead leave of the memory that the server may use, or
    `kv_space_bytes` where that is given (a CPU).
    """
    room = kv_space_bytes
    if room is None:
        room = parallel * (memory_share * device.memory_bytes - OVERHEAD_BYTES) - model.weight_bytes
    kv_bytes = max(0, math.floor(room))
    plan = CapacityPlan(model, device, parallel, replicas, kv_element_bytes, kv_bytes, context_tokens, "")
    return replace(plan, reason=_reason(plan, room))


def _reason(plan: CapacityPlan, room: float) -> str:
    model, parallel, context_tokens = plan.model, plan.parallel, plan.context_tokens
    hardware = f"{parallel} x {plan.device.name}"
    if not model.divides(parallel):
        sizes = ", ".join(str(size) for size in range(1, _MAX_PARALLEL + 1) if model.divides(size))
        return (
            f"{parallel} GPUs cannot share {model.heads} heads and {model.kv_heads} KV heads evenly: "
            f"set vllm.tensor_parallel_size to one of {sizes}"
        )
    if model.positions is not None and context_tokens > model.positions:
        return (
            f"the model's context ends at {model.positions} tokens, not {context_tokens}: "
            "set engine.context_tokens to no more than that"
        )
    if room <= 0:
        return (
            f"its weights of {model.weight_bytes / 1e9:.1f} GB do not fit the memory of {hardware}: "
            "raise vllm.tensor_parallel_size or take weights of fewer bits"
        )
    if (held := plan.kv_tokens // plan.replicas) < context_tokens:
        return (
            f"after the weights, {hardware} can hold the KV cache of {held} tokens, less than one lane's "
            f"{context_tokens}: lower engine.context_tokens or raise vllm.tensor_parallel_size"
        )
    return ""
