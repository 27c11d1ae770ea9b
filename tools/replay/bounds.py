"""What no policy can beat: the best stops of someone who knows the future, the best split for who knows the problems.

Both are for all lanes started at once and the plain majority of those that have ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agent.config import VotingConfig
from agent.policy.voting import tally
from agent.types import Sample

_GRID = 400  # moments at which an accuracy curve is looked at


@dataclass(frozen=True, slots=True)
class Course:
    """How the majority of one problem's samples went, without any stop.

    `changes` are (seconds, leader) at each change of the leader, `end` the seconds until the last sample ended.
    """

    index: int
    truth: int | None
    changes: tuple[tuple[float, int], ...]
    end: float

    @property
    def settled(self) -> float:
        """From when on the leader is the final leader."""
        return self.changes[-1][0] if self.changes else self.end

    @property
    def first_right(self) -> float | None:
        """When the leader is right for the first time."""
        return next((seconds for seconds, leader in self.changes if leader == self.truth), None)


def course(index: int, truth: int | None, samples: Sequence[Sample]) -> Course:
    """The course of samples that started together, in the order in which they ended."""
    changes: list[tuple[float, int]] = []
    voting = VotingConfig()
    for count in range(1, len(samples) + 1):
        leader = tally(samples[:count], voting).leader
        if leader is not None and (not changes or changes[-1][1] != leader.answer):
            changes.append((samples[count - 1].seconds, leader.answer))
    return Course(index, truth, tuple(changes), max((sample.seconds for sample in samples), default=0.0))


def clairvoyant(run: Sequence[Course], limit: float) -> int:
    """The most problems of a run that can be right within the limit, by stopping each as soon as it is.

    Each counts for one, so the quickest first is the best choice.
    """
    times = sorted(c.first_right for c in run if c.first_right is not None)
    return int(np.searchsorted(np.cumsum(times), limit, side="right"))


def knapsack(courses: Sequence[Course], limit: float, problems: int) -> float:
    """Mean right answers of `problems` if each problem is known and has a fixed time of its own.

    Of each problem's curve of accuracy against time the point with slope lambda is taken, with the one lambda that
    spends the limit; between two lambdas next to each other the split is shared.
    """
    curves = _curves(courses)
    budget = limit / problems
    low, high = 0.0, 1.0
    while _at_price(curves, high)[1] > budget:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_price(curves, middle)[1] > budget else (low, middle)
    over, under = _at_price(curves, low), _at_price(curves, high)
    if over[1] <= budget:
        return float(over[0] * problems)
    share = (budget - under[1]) / (over[1] - under[1])
    return float((under[0] + share * (over[0] - under[0])) * problems)


Curve = tuple["np.ndarray[tuple[int], np.dtype[np.float64]]", "np.ndarray[tuple[int], np.dtype[np.float64]]", int]


def _curves(courses: Sequence[Course]) -> list[Curve]:
    """For each problem: accuracy and mean seconds spent if it is closed at each moment of a grid, and its draws."""
    curves = []
    for index in sorted({c.index for c in courses}):
        mine = [c for c in courses if c.index == index]
        grid = np.concatenate([[0.0], np.geomspace(1e-3, 1.0, _GRID)]) * max(c.end for c in mine)
        right = np.zeros(len(grid))
        for c in mine:
            starts = [seconds for seconds, _ in c.changes]
            held = np.searchsorted(starts, grid, side="right") - 1
            correct = np.array([leader == c.truth for _, leader in c.changes] + [False])
            right += correct[held]  # before the first vote, -1 finds the False at the end
        spent = np.mean([np.minimum(grid, c.end) for c in mine], axis=0)
        curves.append((right / len(mine), spent, len(mine)))
    return curves


def _at_price(curves: Sequence[Curve], price: float) -> tuple[float, float]:
    """Mean accuracy and mean seconds a problem where each problem's time is chosen for the price of a second."""
    total = sum(draws for *_, draws in curves)
    accuracy = seconds = 0.0
    for right, spent, draws in curves:
        best = int(np.argmax(right - price * spent))
        accuracy += right[best] * draws / total
        seconds += spent[best] * draws / total
    return accuracy, seconds
