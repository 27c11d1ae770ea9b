"""The rules by their names: what the configuration takes is what is registered, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from agent.config import load_config
from agent.errors import ConfigError
from agent.policy.grants import GRANT_RULES
from agent.policy.settings import BudgetConfig, StoppingConfig, VotingConfig
from agent.policy.stopping import STOPPING_RULES
from agent.policy.voting import VOTING_RULES

REGISTRIES: dict[str, Mapping[str, object]] = {
    "voting": VOTING_RULES,
    "stopping": STOPPING_RULES,
    "budget": GRANT_RULES,
}


@pytest.mark.parametrize("table", REGISTRIES)
def test_every_registered_rule_can_be_configured(table: str) -> None:
    for rule in REGISTRIES[table]:
        assert getattr(load_config("qwq", {f"{table}.rule": rule}), table).rule == rule


@pytest.mark.parametrize("table", REGISTRIES)
def test_a_rule_that_is_not_registered_is_refused_with_the_names_of_those_that_are(table: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config("qwq", {f"{table}.rule": "guess"})
    names = ", ".join(REGISTRIES[table])
    assert str(error.value) == f"configuration (qwq): {table}.rule: no rule 'guess': give one of {names}"


def test_the_defaults_are_registered() -> None:
    assert VotingConfig().rule in VOTING_RULES
    assert StoppingConfig().rule in STOPPING_RULES
    assert BudgetConfig().rule in GRANT_RULES


def test_every_rule_says_where_it_comes_from() -> None:
    functions = [*(rule.weight for rule in VOTING_RULES.values()), *STOPPING_RULES.values(), *GRANT_RULES.values()]
    assert [function for function in functions if not function.__doc__] == []
