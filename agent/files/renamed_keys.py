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

    A key that is there under both names keeps the earlier one besides, which is then refused as unknown. Grants of
    "spread" went with the stopping rule "patience", and are left out with it: the default is in their place.
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
    if isinstance(budget, dict):
        renamed["budget"] = budget = with_planner(budget)
        if isinstance(stopping, dict) and stopping.get("rule") == "patience" and budget.get("planner") == "spread":
            del budget["planner"]
    return renamed


def with_planner(keys: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The keys of the table `budget`, or dotted ones with its `prefix`, with a planner where they name a grant rule.

    The key `rule` named that rule, which the planner "grant" applied, "spread" by default. It meant nothing beside
    another planner.
    """
    rule, planner = f"{prefix}rule", f"{prefix}planner"
    named = {key: value for key, value in keys.items() if key != rule}
    if named.get(planner, "grant") == "grant" and not keys.keys().isdisjoint((rule, planner)):
        named[planner] = keys.get(rule, "spread")
    return named


def profile_tree(tree: Mapping[str, Any], source: str) -> dict[str, Any]:
    """The tree of a profile as `renamed_tree`; warns of keys that are retired, which somebody may still rely on."""
    for table, keys in tree.items():
        for key in keys if isinstance(keys, dict) else ():
            if f"{table}.{key}" in RETIRED:
                _log.warning("configuration (%s): %s.%s: %s", source, table, key, RETIRED_TEXT)
    return renamed_tree(tree)


def renamed_keys(changed: Mapping[str, Any]) -> dict[str, Any]:
    """The values by the dotted names of today, without keys that are retired."""
    kept = {RENAMED.get(key, key): _value(key, value) for key, value in changed.items() if key not in RETIRED}
    return with_planner(kept, "budget.")


def _value(key: str, value: Any) -> Any:
    names = _RENAMED_VALUES.get(key, {})
    return names.get(value, value) if isinstance(value, str) else value


def _renamed(table: str, key: str, keys: Mapping[str, Any]) -> str:
    new = RENAMED.get(f"{table}.{key}", key).rpartition(".")[2]
    return key if new in keys else new
