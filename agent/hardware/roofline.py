"""The roofline model of QwQ-32B's decoding speed on given hardware, as lanes start, grow and end."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean

from agent.hardware.capacity import PLANNED_SHARE
from agent.hardware.devices import KNOWN_DEVICES
from agent.hardware.shapes import BF16_BITS, FP8_BITS, INT4_BITS, QWQ_32B

_WIDTH = QWQ_32B.heads * QWQ_32B.head_dim


@dataclass(frozen=True, slots=True)
class Hardware:
    """A machine that decodes one token of every running lane in each step.

    Each step reads `weight_bytes`, and `cache_bytes` for each token in the contexts of the running lanes, at
    `bandwidth` bytes/s; the arithmetic runs at `flops`. `efficiency` is the fraction of the roofline that is reached.
    """

    name: str
    weight_bytes: float
    cache_bytes: float
    bandwidth: float
    flops: float
    efficiency: float = 1.0

    def step_seconds(self, lanes: int, contexts: float) -> tuple[float, float]:
        """Return the seconds of the next step, and by how much each step adds to that; `contexts` is their total.

        max((W + c * sum L) / BW, (k * 2P + 4 * sum L * width * layers) / FLOPS), where every step extends each of the
        k contexts by one token.
        """
        by_memory = (self.weight_bytes + self.cache_bytes * contexts) / self.bandwidth
        attention = 4 * _WIDTH * QWQ_32B.layers
        by_arithmetic = (lanes * 2 * QWQ_32B.active_parameters + attention * contexts) / self.flops
        if by_memory >= by_arithmetic:
            return by_memory / self.efficiency, lanes * self.cache_bytes / self.bandwidth / self.efficiency
        return by_arithmetic / self.efficiency, lanes * attention / self.flops / self.efficiency

    def seconds(self, tokens: float, lanes: int, context: float = 0.0) -> float:
        """Return the seconds in which `lanes` lanes of `context` tokens generate `tokens` tokens each."""
        first, growth = self.step_seconds(lanes, lanes * context)
        return first * tokens + growth * tokens**2 / 2


def steps_within(seconds: float, first: float, growth: float) -> float:
    """Return how many steps (possibly fractional) take `seconds`, if the first takes `first` and each `growth` more."""
    # The root of first * n + growth * n^2 / 2 = seconds, in the form that is accurate for small growth.
    return 2 * seconds / (first + math.sqrt(first * first + 2 * growth * seconds))


def _gpus(name: str, kind: str, count: int, weight_bits: float, cache_bits: float) -> Hardware:
    """Return `count` GPUs of a kind in tensor parallel, at the usual fraction of their roofline."""
    device = KNOWN_DEVICES[kind]
    assert device.bandwidth is not None
    assert device.flops is not None
    return Hardware(
        name,
        weight_bytes=QWQ_32B.quantized(weight_bits).read_bytes(lanes=1),
        cache_bytes=QWQ_32B.kv_token_bytes(round(cache_bits / 8)),
        bandwidth=count * device.bandwidth,
        flops=count * device.flops,
        efficiency=fmean(PLANNED_SHARE),
    )


# "constant" gives every lane 30 tokens/s, however many run. "two-cores" is the embedded model of 1.5B parameters on two
# cores: 13 tokens/s for a lane alone, 20 for all lanes together.
HARDWARE = {
    hardware.name: hardware
    for hardware in (
        _gpus("kaggle-l4x4", "L4", 4, INT4_BITS, FP8_BITS),
        _gpus("kaggle-l4x4-bf16kv", "L4", 4, INT4_BITS, BF16_BITS),
        _gpus("kaggle-l4x4-fp8", "L4", 4, FP8_BITS, FP8_BITS),
        _gpus("kaggle-h100", "H100", 1, FP8_BITS, BF16_BITS),
        _gpus("kaggle-h100-int4", "H100", 1, INT4_BITS, FP8_BITS),
        _gpus("h200", "H200", 1, FP8_BITS, BF16_BITS),
        Hardware("constant", weight_bytes=1.0, cache_bytes=0.0, bandwidth=30.0, flops=math.inf),
        Hardware("two-cores", weight_bytes=1.0, cache_bytes=0.0, bandwidth=13.0, flops=40 * QWQ_32B.active_parameters),
    )
}
