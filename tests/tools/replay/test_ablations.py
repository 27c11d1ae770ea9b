"""The parts of "price" that can be changed one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from agent.policy.planning.plan import Planner, RunSoFar
from agent.policy.planning.planners import PLANNERS
from agent.policy.planning.price import plan_by_price
from agent.policy.settings import BudgetConfig
from agent.types import Learnt
from tests.support.samples import solution
from tools.replay import ablations
from tools.replay.policies import policy_keys

_PLANNERS = sorted(name for name, value in vars(ablations).items() if isinstance(value, Planner))
_KNOWING = ["known_constant", "known_h100", "known_l4x4"]
_NAMES = [name for name in _PLANNERS if name not in [*_KNOWING, "stated_alone"]]
_TIMES = {4_000: 100.0, 12_000: 700.0, 30_000: 3_600.0}  # long contexts slow the lanes down: fewer are worth more
_PAST = tuple(solution(learnt=Learnt(16, tokens, seconds, voted=True)) for tokens, seconds in _TIMES.items())
_RUN = RunSoFar(6_000.0, 30, 360.0, 16, _PAST)


@pytest.mark.parametrize("name", _NAMES)
def test_an_ablation_changes_one_part_of_the_plan(name: str) -> None:
    plan, changed = plan_by_price(_RUN, BudgetConfig()), getattr(ablations, name).plan(_RUN, BudgetConfig())

    parts = [part for part in ("seconds", "lanes", "price") if getattr(plan, part) != getattr(changed, part)]
    assert len(parts) == (3 if name == "nothing_learnt" else 1)
    assert 1 <= changed.lanes <= 16
    assert changed.seconds > 0
    assert changed.price >= 0


@pytest.mark.parametrize("name", _KNOWING)
def test_what_is_known_of_the_hardware_changes_plans_until_something_is_measured(name: str) -> None:
    planner, first = getattr(ablations, name), replace(_RUN, past=())

    assert planner.plan(_RUN, BudgetConfig()) == plan_by_price(_RUN, BudgetConfig())
    assert planner.plan(first, BudgetConfig()) != plan_by_price(first, BudgetConfig())


def test_what_nothing_was_learnt_from_is_planned_as_the_first_problem() -> None:
    changed = ablations.nothing_learnt.plan(_RUN, BudgetConfig())

    assert changed == plan_by_price(replace(_RUN, past=()), BudgetConfig())


@pytest.mark.parametrize(("came", "expected"), [(0, 50), (49, 1), (50, 4), (90, 4)])
def test_the_stated_number_alone_is_that_of_50_problems(came: int, expected: int) -> None:
    run = replace(_RUN, past=tuple(_PAST[number % 3] for number in range(came)))

    changed = ablations.stated_alone.plan(run, BudgetConfig())

    assert changed == plan_by_price(replace(run, problems_left=expected), BudgetConfig())


def test_an_ablation_is_named_as_a_rule_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"{ablations.__file__}:{_NAMES[0]}"
    monkeypatch.setitem(cast("dict[str, Planner | None]", PLANNERS), name, None)  # and taken out again

    keys = policy_keys(f"price+{name}")

    assert keys == {"stopping.rule": "price", "budget.planner": name}
    assert isinstance(PLANNERS[name], Planner)
