"""All registries of rules, by the key of the configuration that chooses one of theirs, and the keys that rules read."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from agent.policy.planning.plan import Planner
from agent.policy.planning.planners import PLANNERS
from agent.policy.settings import BudgetConfig, StoppingConfig
from agent.policy.stopping import STOPPING_RULES, StoppingRule
from agent.policy.voting import VOTING_RULES, VotingRule

_log = logging.getLogger("agent")

RULES: Mapping[str, Mapping[str, VotingRule | StoppingRule | Planner]] = {
    "voting.rule": VOTING_RULES,
    "stopping.rule": STOPPING_RULES,
    "budget.planner": PLANNERS,
}
"""What each of these keys may name."""
PARAMETERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "stopping.margin": ("stopping.rule", ("margin", "hopeless")),
    "stopping.confidence": ("stopping.rule", ("beta",)),
    "stopping.votes": ("stopping.rule", ("agree",)),
    "budget.spread": ("budget.planner", ("spread",)),
}
"""The parameters of rules by their keys: which key names the rule, and which rules read the parameter."""
_DEFAULTS = {"stopping.rule": StoppingConfig().rule, "budget.planner": BudgetConfig().planner}


def warn_of_unread(tree: Mapping[str, Any], source: str) -> None:
    """Warn of parameters in a configuration's tree that names no rule, where the default one does not read them."""
    for key, (chooser, rules) in PARAMETERS.items():
        table, name = key.split(".")
        keys, default = tree.get(table), _DEFAULTS[chooser]
        if isinstance(keys, dict) and name in keys and chooser.split(".")[1] not in keys and default not in rules:
            told = f"{chooser} {default!r} does not read it: set {chooser} to {' or '.join(rules)} besides"
            _log.warning("configuration (%s): %s: %s, or leave the key out", source, key, told)
