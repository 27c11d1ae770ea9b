"""After how many tokens a problem's first vote comes, learnt from the run's earlier problems."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RACE = 0.12  # L lanes have their first vote after L^-RACE of the tokens that one lane needs
_DEVIATIONS = (0.4, 0.55, 0.7, 0.9)  # between the problems of a run
_USUAL = NormalDist(math.log(10_000), 0.6)  # log tokens of a lane until its vote, by models
_UNUSUAL, _UNUSUAL_SHARE = NormalDist(math.log(2_000), 1.5), 0.1  # models that think little, or not at all
_MEANS = [4.6 + 0.15 * n for n in range(52)]
_STANDARD = NormalDist()
_SMALLEST = 1e-300


@dataclass(frozen=True, slots=True)
class FirstVotes:
    """The logarithm of the tokens until one lane's vote at the next problem: its mean and its standard deviation."""

    mean: float
    deviation: float

    def tokens(self, lanes: int) -> float:
        """The tokens that each of `lanes` lanes usually has written at a first vote."""
        return math.exp(self.mean - RACE * math.log(lanes))


class Awaited(NamedTuple):
    """A problem's lanes had written `tokens` each when the first of them voted, or at its end where none has."""

    lanes: int
    tokens: float
    voted: bool

    @property
    def log_tokens(self) -> float:
        """The logarithm of the tokens that one lane would have needed: log(tokens * lanes^RACE)."""
        return math.log(self.tokens) + RACE * math.log(self.lanes)


def learnt_first_votes(awaited: Sequence[Awaited]) -> FirstVotes:
    """The next problem's first vote, given those until now.

    log(tokens * lanes^RACE) ~ Normal(mu, sigma), where all that is known of a problem without a vote is that it takes
    longer; mu ~ Normal(log 10,000, 0.6) for nine models of ten, and anything for the tenth; sigma one of four. Mean and
    deviation over that posterior, on a grid.
    """
    import numpy as np  # here, as reading a configuration imports the planners

    means, deviations, logs, log_deviations = _grid()
    voted = [each.log_tokens for each in awaited if each.voted]
    if voted:
        total, squares = math.fsum(voted), math.fsum(log * log for log in voted)
        misfit = squares - 2 * total * means + len(voted) * means**2
        logs = logs - misfit / (2 * deviations**2) - len(voted) * log_deviations
    for each in awaited:
        if not each.voted:
            logs = logs + _log_later(each.log_tokens)
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    mean = float(weights @ means)
    return FirstVotes(mean, math.sqrt(weights @ ((means - mean) ** 2 + deviations**2)))


@lru_cache(maxsize=1)
def _grid() -> tuple[Floats, Floats, Floats, Floats]:
    """Means and deviations, with the logarithm of the prior of each pair but for a constant, and log deviations."""
    import numpy as np

    means, deviations = (side.ravel() for side in np.meshgrid(_MEANS, _DEVIATIONS))
    usual = (1 - _UNUSUAL_SHARE) * np.array([_USUAL.pdf(mean) for mean in means])
    unusual = _UNUSUAL_SHARE * np.array([_UNUSUAL.pdf(mean) for mean in means])
    return means, deviations, np.log(usual + unusual), np.log(deviations)


@lru_cache(maxsize=1_024)  # a problem is looked at before each of those that follow
def _log_later(log: float) -> Floats:
    """The logarithm of the chance of a later vote, on the grid."""
    import numpy as np

    means, deviations, *_ = _grid()
    return np.log([max(_STANDARD.cdf(z), _SMALLEST) for z in (means - log) / deviations])
