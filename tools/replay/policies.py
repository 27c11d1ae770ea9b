"""The named policies of a replay: each is a set of configuration keys."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from agent.errors import InputError

Keys = dict[str, Any]
_TRUTHS = {"true": True, "false": False}


def _stop(rule: str, **keys: Any) -> Keys:
    return {"stopping.rule": rule, **{f"stopping.{key}": value for key, value in keys.items()}}


def _grant(rule: str, **keys: Any) -> Keys:
    ours = {"budget.lanes_per_first_vote": 0, "budget.min_first_votes": 0}  # what the others do not have
    return {"budget.rule": rule, **ours, **{f"budget.{key}": value for key, value in keys.items()}}


STOPS: Mapping[str, Keys] = {
    "wait-for-all": _stop("wait-for-all"),
    "uncatchable": _stop("uncatchable"),
    "margin-2": _stop("margin", margin=2),
    "margin-3": _stop("margin", margin=3),
    "beta-95": _stop("beta", confidence=0.95),
    "esc-5": _stop("window"),
    "boinf-10": _stop("bayes-factor"),
    "certified": _stop("certified"),
    "agree-4": _stop("agree", votes=4),
    "aimo2-second": _stop("aimo2-second"),
    "aimo2-11th": _stop("hopeless"),
    "nemoskills-stop": _stop("nemoskills"),
}
BUDGETS: Mapping[str, Keys] = {
    "equal-slice": _grant("equal"),
    "left-over-remaining": _grant("spread", spread=1),
    "nemoskills-bank": _grant("nemoskills"),
    "aimo3-clamp": _grant("aimo3-clamp"),
    "spread-1.5": _grant("spread", spread=1.5),
    "spread-2": _grant("spread", spread=2),
}
VOTES: Mapping[str, Keys] = {
    "code-vote": {"voting.code_bonus": 0.5},
    "confidence-vote": {"voting.confidence_bonus": 0.5},
    "no-forced-vote": {"budget.answer_reserve_seconds": 0},
}
OURS = "patience"
ENTRIES: Mapping[str, Keys] = {
    OURS: {"stopping.rule": "patience", "budget.rule": "spread"},
    "aimo3-base": STOPS["agree-4"] | BUDGETS["aimo3-clamp"],
    "nemoskills": STOPS["nemoskills-stop"] | BUDGETS["nemoskills-bank"],
}
DEFAULT_STOP, DEFAULT_BUDGET = "margin-3", "spread-1.5"
PUBLISHED = [name for name in [*STOPS, *BUDGETS, *ENTRIES] if name != OURS]

POLICY_HELP = f"""\
A policy is named by a stopping rule, a budget rule, both as STOP+BUDGET, or an entry; a stopping rule alone takes the
budget rule {DEFAULT_BUDGET}, a budget rule alone the stopping rule {DEFAULT_STOP}. A voting rule may be added, as in
patience+code-vote (it shows on journals that have the signal), and keys of the configuration may follow, as in
patience,stopping.max_dissent=3.
  stopping rules  {", ".join(STOPS)}
  budget rules    {", ".join(BUDGETS)}
  voting rules    {", ".join(VOTES)}
  entries         {", ".join(ENTRIES)} ({OURS} is the default of the profiles)
  all             every name above"""


def policy_keys(name: str) -> dict[str, Any]:
    """Return the configuration keys of a named policy. Raises InputError, listing the names, for an unknown one."""
    plain, *settings = name.split(",")
    keys: dict[str, Any] = {}
    known = [*STOPS, *BUDGETS, *VOTES, *ENTRIES]
    for part in plain.split("+"):
        found = STOPS.get(part) or BUDGETS.get(part) or VOTES.get(part) or ENTRIES.get(part)
        if found is None:
            raise InputError(f"no policy {part!r}: give one of {', '.join(known)}, or several with + between")
        keys |= found
    if "budget.rule" not in keys:
        keys |= BUDGETS[DEFAULT_BUDGET]
    if "stopping.rule" not in keys:
        keys |= STOPS[DEFAULT_STOP]
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"policy {name!r}: write {setting!r} as KEY=VALUE, like stopping.max_dissent=3")
        keys[key] = _value(value)
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
