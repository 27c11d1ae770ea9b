"""How long a run's lanes take for their tokens, learnt from its own problems."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

CONTEXT = 160_000
"""Tokens in the contexts of all lanes at which a `crowding` of 1 doubles the time of a step."""
_CROWDINGS = (0.0, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 1.2, 1.5, 2.0)
_LOADS = (0.0, 0.03, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0)
_USUAL_LOAD = 0.05  # a GPU reads the weights for all lanes at once; the arithmetic of a few cores is shared
_NOISE = 0.1  # standard deviation of the logarithm of a measured time


class TimedLanes(NamedTuple):
    """`lanes` that started together had each written `tokens` after so many `seconds`."""

    lanes: int
    tokens: float
    seconds: float


@dataclass(frozen=True, slots=True)
class DecodingSpeed:
    """A step, one token of every lane, takes `first` seconds for a lane with an empty context.

    Each further lane adds `load` times that, and contexts of 160,000 tokens in all `crowding` times that.
    """

    first: float
    load: float
    crowding: float

    def seconds(self, tokens: float, lanes: int) -> float:
        """Seconds in which `lanes` lanes write `tokens` tokens each, the sum of steps over growing contexts.

        tokens * first * (1 + load * (lanes - 1) + crowding * lanes * tokens / 2 / 160,000)
        """
        return tokens * (self.first * (1 + self.load * (lanes - 1)) + self.quadratic * lanes * tokens)

    @property
    def quadratic(self) -> float:
        """By how much of a second a token in some lane's context lengthens each step, halved."""
        return self.first * self.crowding / (2 * CONTEXT)


def learnt_speed(measured: Sequence[TimedLanes]) -> DecodingSpeed:
    """The speed that one or more measurements tell, by least squares of log seconds, of deviation 0.1.

    The load is the likeliest; lanes that are always as many do not tell it, so exp(-load / 0.05) is how likely it is
    before. The crowding is the mean of all, weighted by how well they fit; the first step's time what then fits best.
    """
    import numpy as np  # here, as reading a configuration imports the planners

    loads, crowdings = np.array(_LOADS)[:, None, None], np.array(_CROWDINGS)[:, None]
    per_token = np.array([math.log(each.seconds / each.tokens) for each in measured])
    others = np.array([each.lanes - 1.0 for each in measured])
    contexts = np.array([each.lanes * each.tokens / (2 * CONTEXT) for each in measured])
    logs = per_token - np.log1p(loads * others + crowdings * contexts)
    means = logs.sum(axis=2, keepdims=True) / len(measured)
    misfits = ((logs - means) ** 2).sum(axis=2) / (2 * _NOISE**2)
    weights = np.exp(misfits.min() - misfits)
    likeliest = int((weights.sum(axis=1) * np.exp(-loads[:, 0, 0] / _USUAL_LOAD)).argmax())
    load, crowding = _LOADS[likeliest], float(weights[likeliest] @ crowdings[:, 0] / weights[likeliest].sum())
    first = float((per_token - np.log1p(load * others + crowding * contexts)).sum()) / len(measured)
    return DecodingSpeed(math.exp(first), load, crowding)
