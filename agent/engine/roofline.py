"""How fast a 32B model decodes on given hardware: the roofline of one decoding step."""

from __future__ import annotations

import math
from dataclasses import dataclass

PARAMETERS = 31.98e9  # read in a step: QwQ-32B without its input embedding
_LAYERS, _WIDTH = 64, 5_120
_KIB = 1_024


@dataclass(frozen=True, slots=True)
class Hardware:
    """A machine that decodes one token of every running lane in each step.

    `weight_bytes` are read in each step and `cache_bytes` for each token in the contexts of the running lanes, at
    `bandwidth` bytes/s; the arithmetic runs at `flops`. `efficiency` is the part of the roofline that is reached.
    """

    name: str
    weight_bytes: float
    cache_bytes: float
    bandwidth: float
    flops: float
    efficiency: float = 1.0

    def step_seconds(self, lanes: int, contexts: float) -> tuple[float, float]:
        """Seconds of the next step, and what each step adds to that; `contexts` are the tokens in all of them.

        max((W + c * sum L) / BW, (k * 2P + 4 * sum L * width * layers) / FLOPS), where every step makes each of the
        k contexts longer by one.
        """
        by_memory = (self.weight_bytes + self.cache_bytes * contexts) / self.bandwidth
        attention = 4 * _WIDTH * _LAYERS
        by_arithmetic = (lanes * 2 * PARAMETERS + attention * contexts) / self.flops
        if by_memory >= by_arithmetic:
            return by_memory / self.efficiency, lanes * self.cache_bytes / self.bandwidth / self.efficiency
        return by_arithmetic / self.efficiency, lanes * attention / self.flops / self.efficiency

    def seconds(self, tokens: float, lanes: int, context: float = 0.0) -> float:
        """Seconds in which `lanes` lanes, each with `context` tokens before, generate `tokens` tokens each."""
        first, growth = self.step_seconds(lanes, lanes * context)
        return first * tokens + growth * tokens**2 / 2


def steps_within(seconds: float, first: float, growth: float) -> float:
    """How many steps (whole or not) fit into the seconds, if the first takes `first` and each `growth` more."""
    # The root of first * n + growth * n^2 / 2 = seconds, in the form that loses no digits where growth is small.
    return 2 * seconds / (first + math.sqrt(first * first + 2 * growth * seconds))


# int4: group 128 with the head in bf16. The L4s are joined by PCIe, which leaves them about half of their roofline;
# "constant" gives every lane 30 tokens/s, however many run.
HARDWARE = {
    hardware.name: hardware
    for hardware in (
        Hardware("kaggle-l4x4", 17.8e9, 128 * _KIB, 1.2e12, 4 * 121e12, 0.5),
        Hardware("kaggle-l4x4-fp8", 32.8e9, 128 * _KIB, 1.2e12, 4 * 242e12, 0.5),
        Hardware("kaggle-l4x4-bf16kv", 17.8e9, 256 * _KIB, 1.2e12, 4 * 121e12, 0.5),
        Hardware("kaggle-h100", 32.8e9, 128 * _KIB, 3.35e12, 1_979e12),
        Hardware("kaggle-h100-int4", 17.8e9, 128 * _KIB, 3.35e12, 989e12),
        Hardware("h200", 32.8e9, 128 * _KIB, 4.8e12, 1_979e12),
        Hardware("constant", 1.0, 0.0, 30.0, math.inf),
    )
}
