"""Intervals over problems, bootstrapped or Wilson's, as samples of one problem are not independent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2_000
_Z = 1.959964  # the two-sided 95% quantile of the normal distribution
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """A ratio of two sums over problems: numerators and denominators by problem."""

    above: Floats
    below: Floats

    def at(self, weights: Floats) -> Floats:
        """Return the ratio of the weighted sums, for each row of weights."""
        return np.asarray((weights @ self.above) / np.maximum(weights @ self.below, 1e-12), dtype=np.float64)


def resamples(problems: int, seed: int) -> Floats:
    """Return the counts of problems in bootstrap samples, shape (RESAMPLES + 1, problems); row 0 has each once."""
    drawn = np.random.default_rng(seed).multinomial(problems, np.full(problems, 1 / problems), RESAMPLES)
    return np.vstack([np.ones(problems), drawn]).astype(np.float64)


def mean_ratio(ratios: Sequence[Ratio], weights: Floats) -> Floats:
    """Return the mean of several ratios (recordings of the same problems), for each row of weights."""
    return np.asarray(np.mean([ratio.at(weights) for ratio in ratios], axis=0), dtype=np.float64)


def interval(values: Floats) -> Interval:
    """Return the first value, with the 2.5% and 97.5% quantiles of the others."""
    low, high = np.quantile(values[1:], [0.025, 0.975])
    return Interval(float(values[0]), float(low), float(high))


def wilson(share: float, count: int) -> Interval:
    """Return a share of `count` cases with its 95% Wilson interval."""
    spread = _Z**2 / count
    centre = (share + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    return Interval(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))
