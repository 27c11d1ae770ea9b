"""How long a first vote usually takes in a run, and what follows from it for the next problem."""

from __future__ import annotations

from collections.abc import Sequence

from agent.policy.settings import BudgetConfig
from agent.types import Solution

_PRIOR = 0.4  # the first vote's time that a run expects before it has seen any, as part of the even share


def usual_first_vote(share: float, past: Sequence[Solution]) -> float:
    """Seconds until a problem's first vote, by the run's earlier problems; `share` is the next one's in seconds.

    Their mean, where a problem that ended without a vote counts with the time that it took, and one imagined problem
    makes a start.
    """
    waited = sum(solution.seconds if solution.first_vote is None else solution.first_vote for solution in past)
    return (waited + _PRIOR * share) / (len(past) + 1)


def lanes_worth(share: float, usual: float, most: int, budget: BudgetConfig) -> int:
    """How many of at most `most` lanes to start for a problem with `share` seconds, if a first vote takes `usual`.

    Lanes share the hardware, so fewer lanes are faster lanes. Where a share holds the usual time of a first vote many
    times over, more votes make a better majority; where it hardly holds it once, what counts is that some lane ends
    at all.
    """
    if budget.lanes_per_first_vote == 0 or usual == 0:
        return most
    return max(min(most, budget.min_lanes), min(most, round(budget.lanes_per_first_vote * share / usual)))
