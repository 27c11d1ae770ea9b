"""Keys of the configuration, and values of them, that earlier versions stored under other names or have no more."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

_log = logging.getLogger("agent")

RENAMED: Mapping[str, str] = {
    "sample.printed_answers": "sample.accept_printed_answer",
    "sample.failed_runs": "sample.max_failed_tool_runs",
}
"""The dotted name of today by the earlier one; a key stays in its table."""
RETIRED = frozenset(
    {
        *("stopping.wait_by_lead", "stopping.min_wait_share", "stopping.max_share", "stopping.max_dissent"),
        *("stopping.waits", "stopping.slack", "stopping.shares", "stopping.scatter"),
        *("budget.min_first_votes", "budget.lanes_per_first_vote", "budget.min_lanes"),
        *("budget.paces", "budget.lanes_per_pace"),
    }
)
"""Keys of the stopping rule "patience" and its lanes, in place of which the policy "price" learns from the run."""
RETIRED_TEXT = 'this key has no meaning any more, as the policy "price" learns what it set from the run: leave it out'
"""What is said of a retired key."""
_RENAMED_VALUES: Mapping[str, Mapping[str, str]] = {"stopping.rule": {"all": "wait-for-all", "patience": "price"}}


def renamed_tree(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The tree of a configuration with its keys as they are called now, without those that are retired.

    A key that is there under both names keeps the earlier one besides, which is then refused as unknown. The grant rule
    "spread" went with the stopping rule "patience", and is left out with it, also where the planner "grant" is named
    that applied it: the default is in their place.
    """
    renamed = {
        table: {
            _renamed(table, key, keys): _value(f"{table}.{key}", value)
            for key, value in keys.items()
            if f"{table}.{key}" not in RETIRED
        }
        if isinstance(keys, dict)
        else keys
        for table, keys in tree.items()
    }
    stopping, budget = tree.get("stopping"), renamed.get("budget")
    was_patience = isinstance(stopping, dict) and stopping.get("rule") == "patience"
    if was_patience and isinstance(budget, dict) and _applies_spread(budget):
        renamed["budget"] = {key: value for key, value in budget.items() if key not in ("planner", "rule")}
    return renamed


def _applies_spread(budget: Mapping[str, Any]) -> bool:
    """Whether a table of the time when "patience" was a rule applies the grant rule "spread", its default."""
    return (budget.get("planner", "grant"), budget.get("rule", "spread")) == ("grant", "spread")


def profile_tree(tree: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The tree of a profile as `renamed_tree`; warns of keys that are retired, which somebody may still rely on."""
    for table, keys in tree.items():
        for key in keys if isinstance(keys, dict) else ():
            if f"{table}.{key}" in RETIRED:
                _log.warning("configuration (%s): %s.%s: %s", source, table, key, RETIRED_TEXT)
    return renamed_tree(tree)


def renamed_keys(changed: Mapping[str, Any]) -> dict[str, Any]:
    """The values by the dotted names of today, without keys that are retired."""
    return {RENAMED.get(key, key): _value(key, value) for key, value in changed.items() if key not in RETIRED}


def _value(key: str, value: Any) -> Any:
    names = _RENAMED_VALUES.get(key, {})
    return names.get(value, value) if isinstance(value, str) else value


def _renamed(table: str, key: str, keys: Mapping[str, Any]) -> str:
    new = RENAMED.get(f"{table}.{key}", key).rpartition(".")[2]
    return key if new in keys else new
