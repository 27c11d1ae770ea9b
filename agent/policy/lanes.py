"""How many lanes a problem starts: as many as its share of the time can feed."""

from __future__ import annotations

from collections.abc import Sequence

from agent.config import BudgetConfig
from agent.types import Solution

_PRIOR_PACE = 0.4  # of a share: the first vote's time that a run expects before it has seen any


def lanes_worth(share: float, past: Sequence[Solution], most: int, budget: BudgetConfig) -> int:
    """How many of at most `most` lanes to start for a problem with `share` seconds of the bank.

    Lanes share the hardware, so fewer lanes are faster lanes. Where a share holds the usual time of a first vote many
    times over, more votes make a better majority; where it hardly holds it once, what counts is that some lane ends
    at all. The usual time is the mean over the run's earlier problems, one that ended without a vote counting with
    the time that it took, and one imagined problem for a start.
    """
    if budget.lanes_per_pace == 0:
        return most
    waited = sum(solution.seconds if solution.first_vote is None else solution.first_vote for solution in past)
    pace = (waited + _PRIOR_PACE * share) / (len(past) + 1)
    return max(min(most, budget.min_lanes), min(most, round(budget.lanes_per_pace * share / pace))) if pace else most
