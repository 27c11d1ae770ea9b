"""The fluid bound: one price of a second for all problems, and at this price the best moment to stop each.

At a price, a problem is worth its right answer less the price of its seconds. By dynamic programming over what is seen
(moments of a grid, votes, the time since the first), a rule stops where nothing that may still come is worth its
seconds. A bank that is met on average, instead of in each run, buys the problems' seconds at one price.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.hardware.roofline import Hardware
from tools.replay.bounds.draws import Bools, Draws, Ints, Votes, votes_by_lanes
from tools.shared.intervals import Floats

_MOMENTS = 72
_PRICES = np.geomspace(0.02, 8.0, 28)  # right answers for the share of a problem
_RATIOS = np.array([1.1, 1.25, 1.5, 1.8, 2.2, 2.8, 3.8])  # since the start, in times of the first vote
_MAX_LEAD, _MAX_OTHERS = 4, 3
_STATES = 1 + (_MAX_LEAD + 1) * 2 * (_MAX_OTHERS + 1) * (len(_RATIOS) + 1)


@dataclass(frozen=True, slots=True)
class _Timeline:
    """Problems at the moments of a grid, arrays of (moment, problem).

    `states` number what is seen, 0 without a vote; `right` is whether the leader is, `spent` the seconds until then.
    """

    states: Ints
    right: Floats
    spent: Floats


@dataclass(frozen=True, slots=True)
class PricedRule:
    """When to stop at one price: by moment and state. A problem starts so many `lanes`."""

    lanes: int
    stops: Bools


@dataclass(frozen=True, slots=True)
class FluidRules:
    """The best rule at each price, from the dearest second to the cheapest, with the grid that they stop on."""

    grid: Floats
    rules: tuple[PricedRule, ...]


def fit_fluid(draws: Draws, hardware: Hardware, share: float) -> FluidRules:
    """Return the best rules for these problems; `share` is a problem's even share of the bank, in seconds."""
    votes = votes_by_lanes(draws, hardware)
    last = max(float(seen.times[:, -1].max()) for seen in votes.values())
    first = min(float(seen.times[:, 1].min()) for seen in votes.values())
    grid = np.concatenate([[0.0], np.geomspace(max(first, last * 1e-4), last, _MOMENTS)])
    lines = {lanes: _timeline(seen, grid) for lanes, seen in votes.items()}
    rules = []
    for price in _PRICES[::-1] / share:
        options = []
        for lanes, line in lines.items():
            rule = PricedRule(lanes, _best_stops(line, price))
            right, spent = _played(rule, line)
            options.append((right - price * spent, rule))
        rules.append(max(options, key=lambda option: option[0])[1])
    return FluidRules(grid, tuple(rules))


def play_fluid(fitted: FluidRules, draws: Draws, hardware: Hardware, share: float) -> float:
    """Return the share of right answers at the price at which the mean problem takes its share of the bank.

    Between two prices the problems are divided between their rules; no rule is worse than one that takes less time.
    """
    votes = votes_by_lanes(draws, hardware)
    lines = {rule.lanes: _timeline(votes[rule.lanes], fitted.grid) for rule in fitted.rules}
    points = sorted((spent, right) for right, spent in (_played(rule, lines[rule.lanes]) for rule in fitted.rules))
    spent = np.array([0.0, *(seconds for seconds, _ in points)])
    right = np.maximum.accumulate(np.array([0.0, *(share_right for _, share_right in points)]))
    return float(np.interp(share, spent, right))


def _timeline(votes: Votes, grid: Floats) -> _Timeline:
    ended = np.array([(votes.times[:, 1:] <= moment).sum(axis=1) for moment in grid])
    rows = np.arange(len(votes.first))[None, :]
    lead = np.minimum(votes.lead[rows, ended], _MAX_LEAD)
    others = np.minimum(votes.others[rows, ended], _MAX_OTHERS)
    ratio = np.searchsorted(_RATIOS, grid[:, None] / np.maximum(votes.first, 1e-9)[None, :])
    numbers = ((lead * 2 + votes.unopposed[rows, ended]) * (_MAX_OTHERS + 1) + others) * (len(_RATIOS) + 1) + ratio
    voted = grid[:, None] >= votes.first[None, :]
    spent = np.minimum(grid[:, None], votes.times[:, -1][None, :])
    return _Timeline(np.where(voted, 1 + numbers, 0), votes.right[rows, ended].astype(np.float64), spent)


def _best_stops(line: _Timeline, price: float) -> Bools:
    """Work backwards from the last moment: stop where the mean of what follows is worth no more than the leader now."""
    stops = np.ones((len(line.states), _STATES), np.bool_)
    value = line.right[-1].copy()
    for moment in range(len(line.states) - 2, -1, -1):
        states = line.states[moment]
        later = value - price * (line.spent[moment + 1] - line.spent[moment])
        count = np.maximum(np.bincount(states, minlength=_STATES), 1)
        going_on = np.bincount(states, later, _STATES) / count
        now = np.bincount(states, line.right[moment], _STATES) / count
        stops[moment] = now >= going_on
        value = np.where(stops[moment][states], line.right[moment], later)
    return stops


def _played(rule: PricedRule, line: _Timeline) -> tuple[float, float]:
    """Mean right answers and mean seconds of a problem."""
    stopped = np.take_along_axis(rule.stops, line.states, axis=1)
    stopped[-1] = True
    moment = np.argmax(stopped, axis=0)[None, :]
    right, spent = (np.take_along_axis(values, moment, axis=0) for values in (line.right, line.spent))
    return float(right.mean()), float(spent.mean())
