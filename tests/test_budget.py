from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.budget import TimeBank, grant
from agent.config import BudgetConfig

budgets = st.builds(
    BudgetConfig,
    spread=st.floats(1, 4),
    floor_seconds=st.floats(0, 100),
    ceiling_seconds=st.floats(1, 2000),
    answer_reserve_seconds=st.floats(0, 50),
)


def test_an_even_share_times_the_spread() -> None:
    budget = BudgetConfig(spread=1.5, floor_seconds=10, ceiling_seconds=600, answer_reserve_seconds=8)
    allowance = grant(18_000, 50, budget)
    assert (allowance.seconds, allowance.reasoning_seconds) == (540.0, 532.0)
    assert grant(18_000, 10, budget).seconds == 600
    assert grant(18_000, 2_700_000, budget).seconds == 10
    assert grant(7, 3, budget).seconds == 7


def test_an_empty_bank_grants_nothing() -> None:
    assert grant(0, 3, BudgetConfig()).seconds == 0


@given(st.floats(0, 1e5), st.integers(1, 60), budgets)
def test_never_more_than_is_left_and_never_negative(left: float, problems: int, budget: BudgetConfig) -> None:
    allowance = grant(left, problems, budget)
    assert 0 <= allowance.reasoning_seconds <= allowance.seconds <= left


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.floats(1, 1e5), budgets)
def test_a_run_never_overruns_whatever_its_problems_use(used: list[float], limit: float, budget: BudgetConfig) -> None:
    now = 1e6
    bank = TimeBank(limit, lambda: now)
    for done, share in enumerate(used):
        now += share * grant(bank.left, len(used) - done, budget).seconds
    assert now - 1e6 <= limit * (1 + 1e-9)


@given(st.integers(2, 60), budgets)
def test_time_that_is_not_used_flows_back(problems: int, budget: BudgetConfig) -> None:
    assert grant(990, problems - 1, budget).seconds >= grant(990 - 50, problems - 1, budget).seconds


def test_spent_time_of_an_interrupted_run_counts() -> None:
    now = 100.0
    bank = TimeBank(1000, lambda: now, spent=300)
    assert (bank.spent, bank.left) == (300, 700)
    now = 900.0
    assert (bank.spent, bank.left) == (1100, 0)
