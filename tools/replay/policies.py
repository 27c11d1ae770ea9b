"""The policies of a replay: rules by the names that the configuration has for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from agent.errors import InputError
from agent.files.renamed_keys import with_planner
from agent.files.suggestions import no_such
from agent.policy.planning.planners import PLANNERS
from agent.policy.stopping import STOPPING_RULES, WAIT_FOR_ALL
from agent.policy.voting import VOTING_RULES
from tools.replay.own_rules import is_own_rule, register_own_rule

OURS = "price"
WAIT = WAIT_FOR_ALL
DEFAULT_STOP, DEFAULT_PLANNER = "margin-3", "spread-1.5"
POLICIES = list(dict.fromkeys([OURS, *STOPPING_RULES, *PLANNERS]))
"""What `all` stands for."""
_PARAMETERS: Mapping[str, str] = {
    "margin": "stopping.margin",
    "beta": "stopping.confidence",
    "agree": "stopping.votes",
    "spread": "budget.spread",
}
_WITH_NUMBER = re.compile(r"(?P<rule>.+)-(?P<number>\d+(?:\.\d+)?)")
_TRUTHS = {"true": True, "false": False}

POLICY_HELP = f"""\
A policy is named by rules of the configuration with + between: a stopping rule, a planner, a voting rule. A name of two
kinds of rule is both; a later one replaces an earlier one of its kind, so {OURS}+margin-3 is the planner with another
stopping rule, and margin-3+{OURS} is {OURS}. A stopping rule alone takes the planner {DEFAULT_PLANNER}, a planner alone
the stopping rule {DEFAULT_STOP}; {OURS} alone is the profiles' default.
{", ".join(_PARAMETERS)} may have their number behind them, as in {DEFAULT_STOP}, and keys of the configuration may
follow, as in {OURS},voting.code_bonus=0.5. A rule of your own in a Python file is named as path/to/rules.py:name.
  stopping rules  {", ".join(STOPPING_RULES)}
  planners        {", ".join(PLANNERS)}
  voting rules    {", ".join(VOTING_RULES)}
  all             every stopping rule and planner"""


def policy_keys(name: str) -> dict[str, Any]:
    """Return the configuration keys of a named policy. Raises InputError, listing the names, for an unknown one."""
    plain, *settings = name.split(",")
    keys: dict[str, Any] = {}
    for part in plain.split("+"):
        keys |= _rule_keys(part)
    if "stopping.rule" not in keys:
        keys |= _rule_keys(DEFAULT_STOP)
    if "budget.planner" not in keys:
        keys |= _rule_keys(DEFAULT_PLANNER)
    chosen: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"policy {name!r}: write {setting!r} as KEY=VALUE, like voting.code_bonus=0.5")
        chosen[key] = _value(value)
    return keys | with_planner(chosen, "budget.")


def _rule_keys(part: str) -> dict[str, Any]:
    """The keys that one name sets, with the number after it."""
    own = is_own_rule(part)
    if own:
        register_own_rule(part)
    numbered = None if own else _WITH_NUMBER.fullmatch(part)
    rule = numbered["rule"] if numbered and numbered["rule"] in _PARAMETERS else part
    keys: dict[str, Any] = {}
    if rule in STOPPING_RULES:
        keys["stopping.rule"] = rule
    if rule in PLANNERS:
        keys["budget.planner"] = rule
    if rule in VOTING_RULES:
        keys["voting.rule"] = rule
    if not keys:
        known = dict.fromkeys([*POLICIES, *VOTING_RULES])
        raise InputError(f"{no_such('no policy', part, known)}, or several with + between")
    if numbered and rule != part:
        keys[_PARAMETERS[rule]] = _value(numbered["number"])
    return keys


def _value(text: str) -> Any:
    """Parse a setting's value: a boolean, a number, a colon-separated list of them, or else the text itself."""
    if ":" in text:
        return [_value(part) for part in text.split(":")]
    if text in _TRUTHS:
        return _TRUTHS[text]
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text
