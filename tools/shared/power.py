"""How many problems and samples it takes to see a difference: the power of a comparison that is paired by problem.

The formulas are those of Miller, "Adding Error Bars to Evals" (2024, arXiv:2411.00640, section 5): with the variance
`s^2` of the differences between the two means of each problem, n problems show a true difference d in a share `power`
of comparisons if n = (z(1 - alpha/2) + z(power))^2 s^2 / d^2. `s^2` is that of the problems themselves plus that of the
samples, sigma_A^2 / K_A + sigma_B^2 / K_B, and only the second falls with more samples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, variance

LEVEL = 0.05
"""The two-sided level: the share of comparisons that see a difference where there is none."""
POWER = 0.8
"""The share of comparisons that are to see the difference where there is one."""
_Z = NormalDist().inv_cdf(1 - LEVEL / 2) + NormalDist().inv_cdf(POWER)


@dataclass(frozen=True, slots=True)
class Power:
    """What a comparison over `problems` problems can show.

    `spread` is the variance of the differences over problems, `noise` the part of it that comes from drawing only so
    many samples; None where that is not known, as of one vote a problem.
    """

    problems: int
    spread: float
    noise: float | None = None

    @property
    def detectable(self) -> float:
        """The smallest true difference that these problems and samples show."""
        return _Z * math.sqrt(self.spread / self.problems)

    def problems_for(self, difference: float) -> int:
        """How many problems show a true difference (above 0), with as many samples each; at least 2."""
        return max(2, math.ceil(_Z**2 * self.spread / difference**2))

    def samples_for(self, difference: float) -> float | None:
        """How many times the samples show it with these problems; None where no number does, or it is not known."""
        if self.noise is None:
            return None
        room = self.problems * difference**2 / _Z**2 - (self.spread - self.noise)
        return self.noise / room if room > 0 else None

    def sentence(self, difference: str, value: float, how: str = "paired by problem", drawn: str = "samples") -> str:
        """What it takes to see a difference, given as text and as a number, in one sentence.

        `drawn` is what lessens the noise.
        """
        shows = f"difference of {difference} shows in {POWER:.0%} of comparisons ({how}, {LEVEL:.0%} level)"
        if self.spread == 0:
            return f"How many problems it takes until a {shows} cannot be told, as all problems differ alike."
        needed = self.problems_for(value)
        if needed <= self.problems:
            return f"A {shows} with {needed:,} problems; these are {self.problems:,}."
        larger = f"these {self.problems:,} show one {self.detectable / value:.1f} times as large"
        return f"A {shows} with {needed:,} problems{self._with_more(drawn, value)}; {larger}."

    def _with_more(self, drawn: str, value: float) -> str:
        times = self.samples_for(value)
        if times is not None:
            return f", or with these {self.problems:,} and {times:.1f} times the {drawn}"
        return "" if self.noise is None else f", and with no number of {drawn} of these {self.problems:,}"


def paired_power(differences: Sequence[float], noise: float | None = None) -> Power | None:
    """The power of a comparison, from the difference of each problem; None for fewer than two problems.

    `noise` is the mean over problems of the variance that their samples cause, as `sampling_noise` gives it.
    """
    if len(differences) < 2:
        return None
    spread = variance(differences)
    return Power(len(differences), spread, None if noise is None else min(noise, spread))


def sampling_noise(counts: Sequence[tuple[int, int]]) -> float | None:
    """The mean over problems of the variance of a share, from (right, drawn) of each; None where one drew a single one.

    Unbiased: the share's variance p (1 - p) / K is p' (1 - p') / (K - 1) of the share p' that was seen.
    """
    if not counts or any(drawn < 2 for _, drawn in counts):
        return None
    return fmean(right / drawn * (1 - right / drawn) / (drawn - 1) for right, drawn in counts)
