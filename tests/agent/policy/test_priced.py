"""When the rule "price" closes a problem."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.policy.settings import StoppingConfig
from agent.policy.state import Progress, Verdict
from agent.policy.stopping import judge
from agent.types import StopReason
from tests.agent.policy.test_stopping import progress

PRICE = StoppingConfig(rule="price")


def until(answers: list[int], price: float, *, first: float = 100.0) -> float:
    """When the problem is closed; now, at the first vote, if at once."""
    verdict = judge(replace(progress(list(answers), first=first), price=price), PRICE)
    return first if verdict.stop is not None else verdict.until


def test_the_wait_is_that_of_the_formula() -> None:
    assert until([1, 1, 2], 1e-4) == pytest.approx(100 * 1.1 * (1e-4 * 100) ** -0.4)
    assert until([1], 1e-4) == pytest.approx(100 * 1.1 / 1.8 * (1e-4 * 100) ** -0.4)
    assert until([1, 2, 3], 1e-4) == pytest.approx(100 * 1.1 * 1.8 / 1.4 * (1e-4 * 100) ** -0.4)


def test_a_leader_by_four_is_waited_for_no_longer_and_one_by_three_is() -> None:
    assert judge(progress([1] * 4), PRICE).stop is StopReason.MARGIN
    assert judge(progress([1] * 3), PRICE).stop is None


def test_a_problem_without_a_vote_waits_for_one_whatever_its_seconds_cost() -> None:
    assert judge(replace(progress([], elapsed=1e9), price=1e9), PRICE) == Verdict(None)


def test_the_first_vote_of_a_dear_second_is_taken_as_it_comes() -> None:
    dear = replace(progress([1, 1], elapsed=100.0), price=1.0)
    assert judge(dear, PRICE).stop is StopReason.PATIENCE


def test_where_no_bank_is_kept_a_leader_is_still_not_waited_for_without_end() -> None:
    assert until([1, 1], 0.0) == pytest.approx(100 * 1.1 / 1.8**2 * 0.002**-0.4)
    assert until([1, 2], 0.0) < math.inf


waits = st.floats(1e-9, 1.0)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=9), waits, waits)
def test_dearer_seconds_never_make_for_a_longer_wait(answers: list[int], one: float, other: float) -> None:
    assert until(answers, max(one, other)) <= until(answers, min(one, other))


@given(st.lists(st.integers(0, 4), min_size=1, max_size=9), waits)
def test_another_vote_for_the_leader_never_makes_for_a_longer_wait(answers: list[int], price: float) -> None:
    leader = max(set(answers), key=lambda answer: (answers.count(answer), -answer))
    assert until([*answers, leader], price) <= until(answers, price)


@given(st.floats(0, 1), st.floats(1e-3, 1e6))
def test_no_leader_is_closed_before_its_own_vote(price: float, first: float) -> None:
    state: Progress = replace(progress([1], first=first, elapsed=first * 0.999), price=price)
    assert judge(state, PRICE).stop is None
