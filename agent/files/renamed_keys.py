"""Keys of the configuration, and values of them, that earlier versions stored under other names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

RENAMED: Mapping[str, str] = {
    "sample.printed_answers": "sample.accept_printed_answer",
    "sample.failed_runs": "sample.max_failed_tool_runs",
    "stopping.waits": "stopping.wait_by_lead",
    "stopping.slack": "stopping.min_wait_share",
    "stopping.shares": "stopping.max_share",
    "stopping.scatter": "stopping.max_dissent",
    "budget.paces": "budget.min_first_votes",
    "budget.lanes_per_pace": "budget.lanes_per_first_vote",
}
"""The dotted name of today by the earlier one; a key stays in its table."""
_RENAMED_VALUES: Mapping[str, Mapping[str, str]] = {"stopping.rule": {"all": "wait-for-all"}}


def renamed_tree(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The tree of a configuration with its keys as they are called now.

    A key that is there under both names keeps the earlier one besides, which is then refused as unknown.
    """
    return {
        table: {_renamed(table, key, keys): _value(f"{table}.{key}", value) for key, value in keys.items()}
        if isinstance(keys, dict)
        else keys
        for table, keys in tree.items()
    }


def renamed_keys(changed: Mapping[str, Any]) -> dict[str, Any]:
    """The values by the dotted names of today."""
    return {RENAMED.get(key, key): _value(key, value) for key, value in changed.items()}


def _value(key: str, value: Any) -> Any:
    names = _RENAMED_VALUES.get(key, {})
    return names.get(value, value) if isinstance(value, str) else value


def _renamed(table: str, key: str, keys: Mapping[str, Any]) -> str:
    new = RENAMED.get(f"{table}.{key}", key).rpartition(".")[2]
    return key if new in keys else new
