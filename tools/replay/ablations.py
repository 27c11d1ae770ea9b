"""Planners that are "price" with one part changed: `price+tools/replay/ablations.py:NAME` where a policy is named."""

from __future__ import annotations

from dataclasses import replace

from agent.hardware.expected_speed import speed_of_steps
from agent.hardware.roofline import HARDWARE
from agent.policy.planning.plan import Planner, ProblemPlan, RunSoFar
from agent.policy.planning.price import plan_by_price
from agent.policy.settings import BudgetConfig


def _with_all_lanes(run: RunSoFar, budget: BudgetConfig) -> ProblemPlan:
    return replace(plan_by_price(run, budget), lanes=run.max_lanes)


def _with_four_lanes(run: RunSoFar, budget: BudgetConfig) -> ProblemPlan:
    return replace(plan_by_price(run, budget), lanes=min(4, run.max_lanes))


def _from_nothing(run: RunSoFar, budget: BudgetConfig) -> ProblemPlan:
    return plan_by_price(replace(run, past=()), budget)


def _with_an_even_price(run: RunSoFar, budget: BudgetConfig) -> ProblemPlan:
    """One right answer for a share, whatever the run has learnt."""
    return replace(plan_by_price(run, budget), price=1 / max(run.share, 1.0))


def _without_a_price(run: RunSoFar, budget: BudgetConfig) -> ProblemPlan:
    return replace(plan_by_price(run, budget), price=0.0)


def _with_two_shares(run: RunSoFar, budget: BudgetConfig) -> ProblemPlan:
    return replace(plan_by_price(run, budget), seconds=2 * run.share)


def _with_the_stated_number_alone(run: RunSoFar, budget: BudgetConfig) -> ProblemPlan:
    """Of 50 stated problems those that have not come, and four once all have."""
    left = 50 - len(run.past)
    return plan_by_price(replace(run, problems_left=left if left > 0 else 4), budget)


def _knowing(hardware: str) -> Planner:
    """The planner that knows the speed of the hardware before any is measured."""
    known = speed_of_steps(lambda lanes, contexts: HARDWARE[hardware].step_seconds(lanes, contexts)[0])
    return Planner(lambda run, budget: plan_by_price(replace(run, expected_speed=known), budget))


all_lanes = Planner(_with_all_lanes)
four_lanes = Planner(_with_four_lanes)
nothing_learnt = Planner(_from_nothing)
even_price = Planner(_with_an_even_price)
no_price = Planner(_without_a_price)
two_shares = Planner(_with_two_shares)
stated_alone = Planner(_with_the_stated_number_alone)
known_l4x4, known_h100, known_constant = map(_knowing, ("kaggle-l4x4", "kaggle-h100", "constant"))
