"""The planner "price": what a second is worth, learnt from the run's own first votes; lanes and time follow from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import TYPE_CHECKING

from agent.policy.planning.first_votes import RACE, Awaited, FirstVotes, learnt_first_votes
from agent.policy.planning.plan import ProblemPlan, RunSoFar
from agent.policy.planning.speed import DecodingSpeed, TimedLanes, learnt_speed
from agent.policy.settings import BudgetConfig
from agent.types import Learnt

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_LANES = (2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 24, 32, 48, 64)
_MAJORITY = 0.02  # right answers that a doubling of the lanes adds, as part of those there are
_AFTER = 0.4  # time after a first vote, as part of that until it
_EXPECTED_SHARE = 0.4  # until the first vote, in shares, as a run expects before it has measured its speed
_CAP = 1.4  # the allowance, in times of the cap: the price itself ends most problems earlier
_MOST = 2.5  # the allowance is at most so many shares, or so many usual first votes if these are longer
_ASKED = 0.25  # less of the allowance where unfinished lanes that are asked always agree with the vote
_LEAST_SHARE = 1e-6  # seconds; an empty bank is planned for as this
_STEP = 0.2
_STANDARD = NormalDist()


def plan_by_price(run: RunSoFar, budget: BudgetConfig) -> ProblemPlan:
    """The lanes and the cap with the largest right * min(1, share / spent), and what a second then buys.

    That is right / spent where more is spent than there is, and otherwise the slope of right against spent; nothing for
    the last problem. The allowance is 1.4 caps, but at most 2.5 shares or 2.5 usual first votes, whichever is longer,
    and less of it the more is to be expected of unfinished lanes that are asked.
    """
    import numpy as np  # here, as reading a configuration imports the planners

    learnt = [solution.learnt for solution in run.past if solution.learnt is not None]
    votes = learnt_first_votes([Awaited(each.lanes, each.tokens, each.voted) for each in learnt])
    share = max(run.share, _LEAST_SHARE)
    measured = _measured(learnt, run.in_flight)
    if run.expected_speed is not None and not measured:
        speed = run.expected_speed
    else:
        speed = learnt_speed(measured or [_expected(votes, share, run)])
    counts = sorted({run.max_lanes, *(lanes for lanes in _LANES if lanes < run.max_lanes)})
    caps, right, spent = offers(votes, speed, counts, run.in_flight)
    row, column = divmod(int((right * np.minimum(1.0, share / spent)).argmax()), right.shape[1])
    usual = speed.seconds(votes.tokens(counts[row]), counts[row] * run.in_flight)
    seconds = min(_CAP * float(caps[row, column]), _MOST * max(share, usual))
    if run.asks_unfinished:
        seconds *= 1 - _ASKED * _agreement(learnt)
    price = 0.0 if run.problems_left == 1 else _price(right[row], spent[row], column, share)
    return ProblemPlan(seconds, counts[row], price)


def _price(right: Floats, spent: Floats, at: int, share: float) -> float:
    """Right answers that a second buys, with the cap `at` that place of the grid."""
    if spent[at] > share:
        return float(right[at] / spent[at])
    before = max(0, at - 1)
    slope = float((right[before + 1] - right[before]) / (spent[before + 1] - spent[before]))
    return slope * float(spent[at]) / share if at == len(right) - 1 else slope  # there is more than can be used


def offers(
    votes: FirstVotes, speed: DecodingSpeed, counts: Sequence[int], in_flight: int = 1
) -> tuple[Floats, Floats, Floats]:
    """Caps in seconds, right answers and seconds spent, for each count of lanes and caps of -2.5 to 3.5 deviations.

    right(z) = (1 + 0.02 log2 lanes) * integral up to z of 0.97 Phi(1.8 - z) dPhi(z): early votes are right more often.
    spent(z) = 1.4 * integral up to z of seconds(z) dPhi(z) + (1 - Phi(z)) seconds(z).
    """
    import numpy as np

    ends, weights, later, right = _integrals()
    lanes = np.array(counts, dtype=np.float64)[:, None]
    least = np.exp(votes.mean - RACE * np.log(lanes) - votes.deviation * _STEP / 2)
    at_middle = least * np.exp(votes.deviation * ends)
    at_end = at_middle * math.exp(votes.deviation * _STEP / 2)
    running = lanes * in_flight
    empty, grown = speed.first * (1 + speed.load * (running - 1)), speed.quadratic * running
    caps = at_end * (empty + grown * at_end)
    voted = (weights * at_middle * (empty + grown * at_middle)).cumsum(axis=1)
    return caps, (1 + _MAJORITY * np.log2(lanes)) * right, (1 + _AFTER) * voted + later * caps


@lru_cache(maxsize=1)
def _integrals() -> tuple[Floats, Floats, Floats, Floats]:
    """Ends of intervals in deviations, the chances of a first vote in each and of a later one, right answers by it."""
    import numpy as np

    ends: Floats = -2.5 + _STEP * np.arange(31, dtype=np.float64)
    below = np.array([_STANDARD.cdf(end) for end in ends])
    weights = np.diff(below, prepend=0.0)
    right = np.array([0.97 * _STANDARD.cdf(1.8 - end + _STEP / 2) for end in ends])
    so_far: Floats = np.cumsum(right * weights)
    return ends, weights, 1 - below, so_far


def _measured(learnt: Sequence[Learnt], in_flight: int) -> list[TimedLanes]:
    return [
        TimedLanes(each.lanes * in_flight, each.tokens, each.seconds) for each in learnt if each.seconds is not None
    ]


def _expected(votes: FirstVotes, share: float, run: RunSoFar) -> TimedLanes:
    """What stands for a measurement before there is one, where no speed is expected either."""
    return TimedLanes(run.max_lanes * run.in_flight, votes.tokens(run.max_lanes), _EXPECTED_SHARE * share)


def _agreement(learnt: Sequence[Learnt]) -> float:
    """How often an unfinished lane that is asked agrees with the vote: in 6 of 10 cases before there are any."""
    return (6 + sum(each.agreed for each in learnt)) / (10 + sum(each.asked for each in learnt))
