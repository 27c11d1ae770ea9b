"""The planner "grant": the time that the grant rule gives, and lanes for the first votes that it usually holds."""

from __future__ import annotations

from collections.abc import Sequence

from agent.policy.grants import GRANT_RULES, Bank
from agent.policy.planning.plan import ProblemPlan, RunSoFar
from agent.policy.settings import BudgetConfig
from agent.types import Solution

_PRIOR = 0.4  # the first vote's time that a run expects before it has seen any, as part of the even share


def plan_by_grant(run: RunSoFar, budget: BudgetConfig) -> ProblemPlan:
    """What the grant rule `budget.rule` gives, or `min_first_votes` times the usual time of a first vote if longer.

    Less than that would most likely be spent for nothing. Time has no price here.
    """
    bank = Bank(run.left, run.problems_left, run.mean, tuple(solution.seconds for solution in run.past))
    usual = usual_first_vote(run.share, run.past)
    seconds = max(GRANT_RULES[budget.rule].seconds(bank, budget), budget.min_first_votes * usual)
    return ProblemPlan(seconds, lanes_worth(run.share, usual, run.max_lanes, budget))


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
