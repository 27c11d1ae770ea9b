"""A grant rule as a planner: the time that it gives, all lanes, and the price of a second."""

from __future__ import annotations

from agent.policy.grants import Bank, GrantRule
from agent.policy.planning.plan import Planner, ProblemPlan, RunSoFar
from agent.policy.planning.price import plan_by_price
from agent.policy.settings import BudgetConfig


def granting(rule: GrantRule) -> Planner:
    """Make the planner that gives a problem the time that a grant rule gives it, and all lanes.

    A second costs the later problems what the planner "price" finds, whoever grants it.
    """

    def plan(run: RunSoFar, budget: BudgetConfig) -> ProblemPlan:
        bank = Bank(run.left, run.problems_left, run.mean, tuple(solution.seconds for solution in run.past))
        return ProblemPlan(rule.seconds(bank, budget), run.max_lanes, plan_by_price(run, budget).price)

    plan.__doc__ = rule.seconds.__doc__
    return Planner(plan, rule.source)
