"""The planners by their names."""

from __future__ import annotations

from collections.abc import Mapping

from agent.policy.grants import GrantRule, aimo3_clamp, equal, nemoskills_grant, spread
from agent.policy.planning.granted import granting
from agent.policy.planning.plan import Planner
from agent.policy.planning.price import plan_by_price

PLANNERS: Mapping[str, Planner] = {
    "price": Planner(plan_by_price),
    "spread": granting(GrantRule(spread)),
    "equal": granting(GrantRule(equal)),
    "nemoskills": granting(GrantRule(nemoskills_grant, "moshkov2025aimo2")),
    "aimo3-clamp": granting(GrantRule(aimo3_clamp)),
}
"""The planners by their names, which configuration, replay and documents share; all but "price" apply grant rules."""
