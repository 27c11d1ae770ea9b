"""The best policy that a search finds of a family with a handful of numbers, fitted to the runs themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agent.hardware.roofline import Hardware
from tools.replay.bounds.draws import Draws, Votes, votes_by_lanes
from tools.shared.intervals import Floats

_ROUNDS = 4  # each tries candidates around the best of those before
_CANDIDATES = 32  # in a round, for each number of lanes
_BEST = 8  # which the next round varies
_LOWEST = np.array([0.5, 1.0, 1.0, 0.0, 0.7, 2.0])
_HIGHEST = np.array([6.0, 2.5, 2.0, 0.8, 5.0, 6.0])
_LOGARITHMIC = np.array([True, True, True, False, True, True])


@dataclass(frozen=True, slots=True)
class FittedPolicy:
    """One policy of the family: how many lanes a problem starts, and its six numbers (see `play_family`)."""

    lanes: int
    numbers: Floats


def fit_family(draws: Draws, hardware: Hardware, limit: float, seed: int) -> tuple[FittedPolicy, float]:
    """Return the best policy that a random search finds on these runs, each of `limit` seconds, and its right answers.

    Other policies of the family may do better: another `seed` finds others.
    """
    rng = np.random.default_rng(seed)
    votes = votes_by_lanes(draws, hardware)
    tried: list[tuple[float, int, Floats]] = []
    for turn in range(_ROUNDS):
        best = sorted(tried, key=lambda each: -each[0])[:_BEST]
        counts = sorted(votes) if not best else sorted({lanes for _, lanes, _ in best})
        for lanes in counts:
            near = [numbers for _, chosen, numbers in best if chosen == lanes]
            numbers = _candidates(rng, np.array(near), 0.5**turn)
            right = play_family(votes[lanes], numbers, limit, draws.runs)
            tried += [(float(score), lanes, each) for score, each in zip(right, numbers, strict=True)]
    score, lanes, numbers = max(tried, key=lambda each: each[0])
    return FittedPolicy(lanes, numbers), score


def play_fitted(policy: FittedPolicy, draws: Draws, hardware: Hardware, limit: float) -> float:
    """Return the mean right answers of a run under one policy of the family."""
    votes = votes_by_lanes(draws, hardware)[policy.lanes]
    return float(play_family(votes, policy.numbers[None], limit, draws.runs)[0])


def play_family(votes: Votes, numbers: Floats, limit: float, runs: int) -> Floats:
    """Return the mean right answers of a run for each policy, a row of `numbers`: patience, by lead, dissent, dissent.

    With t the seconds of the problem's first vote and an even share of what the bank has left, a problem stops at

        t max(1, patience by_lead^(1 - step) by_dissent^(-others) (share / t)^by_share)

    where `step` is the lead, one more if nobody else has a vote; earlier at a lead of `margin` or once nothing can
    change; and in any case after `cap` shares. All problems of a run spend from one bank.
    """
    patience, by_lead, by_dissent, by_share, cap, margin = numbers.T[:, :, None, None]
    count = len(votes.first) // runs
    left = np.full((len(numbers), runs), limit)
    right = np.zeros((len(numbers), runs))
    step = votes.lead + votes.unopposed
    for place in range(count):
        here = np.arange(runs) * count + place
        share = left / (count - place)
        times, first = votes.times[here], votes.first[here]
        wait = patience * by_lead ** (1.0 - step[here]) * by_dissent ** (-1.0 * votes.others[here])
        with np.errstate(invalid="ignore", over="ignore"):
            ratio = np.where(np.isfinite(first), (share / np.maximum(first, 1e-9)), 1.0)
            until = first[:, None] * np.maximum(1.0, wait * ratio[:, :, None] ** by_share)
        until = np.where((step[here] == 0) | np.isnan(until), np.inf, until)
        until = np.where((votes.lead[here] >= margin) | votes.safe[here], 0.0, until)
        allowed = np.minimum(cap[:, :, 0] * share, left)
        stop = np.maximum(times, np.minimum(until, allowed[:, :, None]))
        following = np.concatenate([times[:, 1:], np.full((runs, 1), np.inf)], axis=1)
        chosen = np.argmax(stop < following, axis=2)[:, :, None]
        spent = np.take_along_axis(stop, chosen, axis=2)[:, :, 0]
        right += np.take_along_axis(np.broadcast_to(votes.right[here], stop.shape), chosen, axis=2)[:, :, 0]
        left = np.maximum(0.0, left - spent)
    return np.asarray(right.mean(axis=1), dtype=np.float64)


def _candidates(rng: np.random.Generator, near: Floats, width: float) -> Floats:
    """Draw candidates over the whole range of each number, or around those given."""
    low, high = (np.where(_LOGARITHMIC, np.log(np.maximum(ends, 1e-9)), ends) for ends in (_LOWEST, _HIGHEST))
    if not len(near):
        drawn = rng.uniform(low, high, (_CANDIDATES, len(low)))
    else:
        centre = np.where(_LOGARITHMIC, np.log(np.maximum(near, 1e-9)), near)
        centre = centre[rng.integers(len(near), size=_CANDIDATES)]
        drawn = np.clip(centre + rng.normal(0, width * 0.3, centre.shape) * (high - low), low, high)
    return np.asarray(np.where(_LOGARITHMIC, np.exp(drawn), drawn), dtype=np.float64)
