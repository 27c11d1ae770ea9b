"""All registries of rules, by the key of the configuration that chooses one of theirs."""

from __future__ import annotations

from collections.abc import Mapping

from agent.policy.grants import GRANT_RULES, GrantRule
from agent.policy.planning.plan import Planner
from agent.policy.planning.planners import PLANNERS
from agent.policy.stopping import STOPPING_RULES, StoppingRule
from agent.policy.voting import VOTING_RULES, VotingRule

RULES: Mapping[str, Mapping[str, VotingRule | StoppingRule | GrantRule | Planner]] = {
    "voting.rule": VOTING_RULES,
    "stopping.rule": STOPPING_RULES,
    "budget.rule": GRANT_RULES,
    "budget.planner": PLANNERS,
}
"""What each of these keys may name."""
