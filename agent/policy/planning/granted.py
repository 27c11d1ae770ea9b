"""The planner "grant": the time that the grant rule gives, and all lanes."""

from __future__ import annotations

from agent.policy.grants import GRANT_RULES, Bank
from agent.policy.planning.plan import ProblemPlan, RunSoFar
from agent.policy.settings import BudgetConfig


def plan_by_grant(run: RunSoFar, budget: BudgetConfig) -> ProblemPlan:
    """What the grant rule `budget.rule` gives, and all lanes. Time has no price here."""
    bank = Bank(run.left, run.problems_left, run.mean, tuple(solution.seconds for solution in run.past))
    return ProblemPlan(GRANT_RULES[budget.rule].seconds(bank, budget), run.max_lanes)
