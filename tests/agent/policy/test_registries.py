"""The rules by their names: what the configuration takes is what is registered, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib.resources import files
from operator import attrgetter

import pytest

from agent.config import load_config
from agent.errors import ConfigError
from agent.policy.planning.planners import PLANNERS
from agent.policy.registries import RULES
from agent.policy.settings import BudgetConfig, StoppingConfig, VotingConfig
from agent.policy.stopping import STOPPING_RULES
from agent.policy.voting import VOTING_RULES


@pytest.mark.parametrize("key", RULES)
def test_every_registered_rule_can_be_configured(key: str) -> None:
    for rule in RULES[key]:
        assert attrgetter(key)(load_config("qwq", {key: rule})) == rule


@pytest.mark.parametrize("key", RULES)
def test_a_rule_that_is_not_registered_is_refused_with_the_names_of_those_that_are(key: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config("qwq", {key: "guess"})
    names = ", ".join(RULES[key])
    assert str(error.value) == f"configuration (qwq): {key}: no rule 'guess': give one of {names}"


def test_the_defaults_are_registered() -> None:
    assert VotingConfig().rule in VOTING_RULES
    assert StoppingConfig().rule in STOPPING_RULES
    assert BudgetConfig().planner in PLANNERS


def test_a_rule_that_is_misspelled_is_guessed() -> None:
    with pytest.raises(ConfigError, match=r"no rule 'pricee' \(did you mean price\?\): give one of"):
        load_config("qwq", {"stopping.rule": "pricee"})


def test_every_rule_says_where_it_comes_from() -> None:
    functions = [
        *(rule.weight for rule in VOTING_RULES.values()),
        *(rule.verdict for rule in STOPPING_RULES.values()),
        *(planner.plan for planner in PLANNERS.values()),
    ]
    assert [function for function in functions if not function.__doc__] == []


def test_what_rules_cite_is_in_the_references_and_nothing_else_is() -> None:
    cited = {rule.source for rules in RULES.values() for rule in rules.values()} - {""}
    assert cited == set(references())


def test_a_published_rule_with_an_author_and_a_year_has_a_reference() -> None:
    rules: dict[Callable[..., object], str] = {
        **{rule.verdict: rule.source for rule in STOPPING_RULES.values()},
        **{rule.weight: rule.source for rule in VOTING_RULES.values()},
    }
    for function, source in rules.items():
        named = re.search(r"\((\w[\w-]*) (?:et al\.|and \w+), 20\d\d\)", function.__doc__ or "")
        if named:
            assert references()[source]["author"].startswith(named[1]), source


def test_a_reference_says_who_wrote_what_and_when_and_links_to_it() -> None:
    for key, fields in references().items():
        assert {"title", "author", "year"} <= set(fields), key
        assert re.fullmatch(r"\d{4}\.\d{5}", fields["eprint"]), key
        assert fields["url"] == f"https://arxiv.org/abs/{fields['eprint']}", key
        assert key.startswith(fields["author"].split(",")[0].split("-")[0].lower()), key
        assert all(text.count("{") == text.count("}") for text in fields.values()), key


def references() -> dict[str, dict[str, str]]:
    """The fields of each entry of the references, by its key."""
    text = (files("agent.policy") / "references.bib").read_text(encoding="utf-8")
    entries = re.findall(r"^@\w+\{([\w-]+),\n(.*?)^\}$", text, re.DOTALL | re.MULTILINE)
    found = {key: dict(re.findall(r"^  (\w+) = \{(.*)\},$", body, re.MULTILINE)) for key, body in entries}
    assert len(found) == text.count("\n@")
    return found
