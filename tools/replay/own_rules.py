"""Rules of one's own, from a Python file: `path/to/rules.py:name` is their name wherever a policy is named.

They enter the registries of the agent's own rules under that name, so that the solver finds them as it finds those.
Each process that plays runs reads the file itself. Whatever goes wrong in a rule is told with its file and name.
"""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from numbers import Integral
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any

from agent.errors import InputError
from agent.files.suggestions import no_such
from agent.policy.grants import Bank, GrantRule
from agent.policy.planning.granted import granting
from agent.policy.planning.plan import Planner, ProblemPlan, RunSoFar
from agent.policy.planning.planners import PLANNERS
from agent.policy.settings import VotingConfig
from agent.policy.state import Progress, Verdict
from agent.policy.stopping import STOPPING_RULES, StoppingRule
from agent.policy.voting import VOTING_RULES, VotingRule
from agent.types import Edition, Sample, StopReason

_NAMED = re.compile(r"(?P<file>.+\.py):(?P<name>\w*)")
_STATES = (Progress, Bank, RunSoFar, Sample)
_OWN_FILES = "<rules of one's own>"


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of rule: its registry, the fields with its functions, and which of their values can be used."""

    registry: Any
    functions: tuple[str, ...]
    is_usable: Callable[[Any], bool]
    wanted: str


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not math.isnan(value)


def _is_amount(value: Any) -> bool:
    return _is_number(value) and value >= 0


def _is_verdict(value: Any) -> bool:
    """Whether the solver can act on it; `StopReason` is text, but not each text is one."""
    if not isinstance(value, Verdict) or not _is_number(value.until):
        return False
    return value.stop is None or isinstance(value.stop, StopReason)


def _is_plan(value: Any) -> bool:
    if not isinstance(value, ProblemPlan) or not isinstance(value.lanes, Integral) or isinstance(value.lanes, bool):
        return False
    return value.lanes >= 1 and _is_amount(value.seconds) and _is_amount(value.price) and math.isfinite(value.price)


_KINDS: dict[type, _Kind] = {
    StoppingRule: _Kind(
        STOPPING_RULES, ("verdict",), _is_verdict, "a Verdict with a StopReason or None, and until as a number"
    ),
    GrantRule: _Kind(PLANNERS, ("seconds",), _is_number, "a number of seconds"),
    VotingRule: _Kind(VOTING_RULES, ("weight", "bound"), _is_amount, "a number from 0 up"),
    Planner: _Kind(
        PLANNERS, ("plan",), _is_plan, "a ProblemPlan with seconds and a price from 0 up, and whole lanes from 1 up"
    ),
}


def is_own_rule(name: str) -> bool:
    """Whether a part of a policy's name is a rule in a file."""
    return _NAMED.fullmatch(name) is not None


def register_own_rule(name: str) -> None:
    """Enter the rule of that name (`path/to/rules.py:name`) into the registry of its kind; a grant rule is a planner.

    Raises InputError, naming the file, if there is none, it cannot be run, or what has the name is no rule.
    """
    found = _NAMED.fullmatch(name)
    assert found is not None
    module = _module(str(Path(found["file"]).absolute()), found["file"])
    rules = {key: value for key, value in vars(module).items() if type(value) in _KINDS}
    rule: Any = vars(module).get(found["name"])
    if type(rule) not in _KINDS:
        kinds = ", ".join(kind.__name__ for kind in _KINDS)
        if rule is not None:
            raise InputError(
                f"{name} is a {type(rule).__name__}, and no rule: make it one of {kinds}, as in "
                f"{found['name']} = StoppingRule(function)"
            )
        if rules:
            raise InputError(no_such(f"{found['file']} has no rule", found["name"], rules))
        raise InputError(f"{found['file']} has no rule {found['name']!r}: give one of {kinds} that name in it")
    kind = _KINDS[type(rule)]
    checked: dict[str, Any] = {each: _checked(getattr(rule, each), kind, name) for each in kind.functions}
    if isinstance(rule, VotingRule):
        checked["weight"] = _bounded(checked["weight"], checked["bound"], name)
    entry = replace(rule, **checked)
    kind.registry[name] = granting(entry) if isinstance(entry, GrantRule) else entry


@cache  # a rule that keeps something between problems keeps it in one module
def _module(path: str, shown: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(_OWN_FILES + path, path)
    if not Path(path).is_file() or spec is None or spec.loader is None:
        raise InputError(f"there is no file {shown}: name a rule in one as path/to/rules.py:name")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise InputError(f"{shown} cannot be run: {_what(error, path)}") from error
    return module


def _checked(function: Callable[..., Any], kind: _Kind, name: str) -> Callable[..., Any]:
    """The function of a rule; where it fails, it is told by the rule's name, and with what it was given."""
    path = name.rpartition(":")[0]

    def checked(*given: Any) -> Any:
        state = _shown(next((each for each in given if isinstance(each, _STATES)), given[0]))
        try:
            value = function(*given)
        except Exception as error:
            raise InputError(f"{name} failed: {_what(error, path)}; it was given {state}") from error
        if not kind.is_usable(value):
            raise InputError(f"{name} gave {_shown(value)}: make it return {kind.wanted}; it was given {state}")
        return value

    return checked


def _bounded(weight: Callable[..., float], bound: Callable[..., float], name: str) -> Callable[..., float]:
    """The weight of a voting rule, held to its bound: a problem is closed early on the strength of that."""

    def bounded(own: float, sample: Sample, voting: VotingConfig, edition: Edition) -> float:
        value, most = weight(own, sample, voting, edition), bound(own, voting)
        if value > most:
            raise InputError(f"{name} gave {value:g}, more than its bound of {most:g}; it was given {_shown(sample)}")
        return value

    return bounded


def _what(error: BaseException, path: str) -> str:
    """An error in one line, with the last line of the user's file on the way to it."""
    lines = [frame.lineno for frame in extract_tb(error.__traceback__) if Path(frame.filename).name == Path(path).name]
    place = f" in line {lines[-1]}" if lines else ""
    return f"{type(error).__name__}{place}: {' '.join(str(error).split())}"


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 400 else f"{text[:400]}..."
