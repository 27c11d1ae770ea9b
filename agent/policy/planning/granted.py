"""The planner "grant": the time that the grant rule gives, all lanes, and and a price where one is asked for."""

from __future__ import annotations

from agent.policy.grants import GRANT_RULES, Bank
from agent.policy.planning.plan import ProblemPlan, RunSoFar
from agent.policy.planning.price import plan_by_price
from agent.policy.settings import BudgetConfig


def plan_by_grant(run: RunSoFar, budget: BudgetConfig) -> ProblemPlan:
    """What the grant rule `budget.rule` gives, and all lanes.

    A second costs the later problems what the planner "price" finds, whoever grants it.
    """
    bank = Bank(run.left, run.problems_left, run.mean, tuple(solution.seconds for solution in run.past))
    price = plan_by_price(run, budget).price if run.needs_price else 0.0
    return ProblemPlan(GRANT_RULES[budget.rule].seconds(bank, budget), run.max_lanes, price)
