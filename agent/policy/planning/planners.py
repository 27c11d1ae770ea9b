"""The planners by their names."""

from __future__ import annotations

from collections.abc import Mapping

from agent.policy.planning.granted import plan_by_grant
from agent.policy.planning.plan import Planner
from agent.policy.planning.price import plan_by_price

PLANNERS: Mapping[str, Planner] = {
    "price": Planner(plan_by_price),
    "grant": Planner(plan_by_grant),
}
"""The planners by their names, which configuration, replay and documents share."""
