"""The planners by their names."""

from __future__ import annotations

from collections.abc import Mapping

from agent.policy.planning.granted import plan_by_grant
from agent.policy.planning.plan import Planner

PLANNERS: Mapping[str, Planner] = {
    "grant": Planner(plan_by_grant),
}
"""The planners by their names, which configuration, replay and documents share."""
