"""Upper bounds for every policy: an oracle that knows the samples, and a knapsack that knows the problems.

Both assume that all lanes start at once and that the plain majority of the finished ones is the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agent.policy.settings import VotingConfig
from agent.policy.voting import tally
from agent.types import Sample
from tools.replay.recordings import REPLAYED_EDITION

_GRID = 400  # moments at which the accuracy is evaluated


@dataclass(frozen=True, slots=True)
class AccuracyCurve:
    """The majority answer of one problem's samples over time, without early stopping.

    `changes` are (seconds, leader) at each change of the leader, `end` is when the last sample ended.
    """

    index: int
    truth: int | None
    changes: tuple[tuple[float, int], ...]
    end: float

    @property
    def settled(self) -> float:
        """The time, in seconds, from which the leader does not change any more."""
        return self.changes[-1][0] if self.changes else self.end

    @property
    def first_right(self) -> float | None:
        """The first time, in seconds, at which the leader is right; None if it never is."""
        return next((seconds for seconds, leader in self.changes if leader == self.truth), None)


def accuracy_curve(index: int, truth: int | None, samples: Sequence[Sample]) -> AccuracyCurve:
    """Return the curve of samples that started together, given in the order in which they ended."""
    changes: list[tuple[float, int]] = []
    voting = VotingConfig()
    for count in range(1, len(samples) + 1):
        leader = tally(samples[:count], voting, REPLAYED_EDITION).leader
        if leader is not None and (not changes or changes[-1][1] != leader.answer):
            changes.append((samples[count - 1].seconds, leader.answer))
    return AccuracyCurve(index, truth, tuple(changes), max((sample.seconds for sample in samples), default=0.0))


def oracle(run: Sequence[AccuracyCurve], limit: float) -> int:
    """Return the most problems of a run that can be right within the limit, each stopped as soon as it is right.

    Every problem counts for one, so solving the quickest first is optimal.
    """
    times = sorted(c.first_right for c in run if c.first_right is not None)
    return int(np.searchsorted(np.cumsum(times), limit, side="right"))


def knapsack(curves: Sequence[AccuracyCurve], limit: float, problems: int) -> float:
    """Return the mean number of right answers among `problems` if each known problem gets the best fixed time.

    Each problem is stopped where the slope of its accuracy over time is lambda, with the one lambda that spends the
    limit; between two adjacent lambdas the result is interpolated.
    """
    means = _mean_accuracies(curves)
    budget = limit / problems
    low, high = 0.0, 1.0
    while _at_price(means, high)[1] > budget:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_price(means, middle)[1] > budget else (low, middle)
    over, under = _at_price(means, low), _at_price(means, high)
    if over[1] <= budget:
        return float(over[0] * problems)
    share = (budget - under[1]) / (over[1] - under[1])
    return float((under[0] + share * (over[0] - under[0])) * problems)


_Means = tuple["np.ndarray[tuple[int], np.dtype[np.float64]]", "np.ndarray[tuple[int], np.dtype[np.float64]]", int]


def _mean_accuracies(curves: Sequence[AccuracyCurve]) -> list[_Means]:
    """Return for each problem its accuracy and mean seconds if stopped at each moment of a grid, and its draws."""
    means = []
    for index in sorted({c.index for c in curves}):
        mine = [c for c in curves if c.index == index]
        grid = np.concatenate([[0.0], np.geomspace(1e-3, 1.0, _GRID)]) * max(c.end for c in mine)
        right = np.zeros(len(grid))
        for c in mine:
            starts = [seconds for seconds, _ in c.changes]
            held = np.searchsorted(starts, grid, side="right") - 1
            correct = np.array([leader == c.truth for _, leader in c.changes] + [False])
            right += correct[held]  # before the first vote, -1 finds the False at the end
        spent = np.mean([np.minimum(grid, c.end) for c in mine], axis=0)
        means.append((right / len(mine), spent, len(mine)))
    return means


def _at_price(means: Sequence[_Means], price: float) -> tuple[float, float]:
    """Return mean accuracy and mean seconds per problem when each problem's time is optimal at this price a second."""
    total = sum(draws for *_, draws in means)
    accuracy = seconds = 0.0
    for right, spent, draws in means:
        best = int(np.argmax(right - price * spent))
        accuracy += right[best] * draws / total
        seconds += spent[best] * draws / total
    return accuracy, seconds
