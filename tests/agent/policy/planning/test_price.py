"""The plans of "price": what a second is worth, and the lanes and the time that follow from it."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from agent.policy.planning.first_votes import RACE, FirstVotes, learnt_first_votes
from agent.policy.planning.plan import ProblemPlan, RunSoFar
from agent.policy.planning.price import offers, plan_by_price
from agent.policy.planning.speed import DecodingSpeed
from agent.policy.settings import BudgetConfig
from agent.types import Learnt, Solution
from tests.support.samples import solution
from tests.support.tiers.cases import examples

STANDARD = NormalDist()
COUNTS = [2, 3, 4, 5, 6, 8, 10, 12, 14, 16]
votes = st.builds(FirstVotes, st.floats(6, 11), st.floats(0.3, 1.2))
speeds = st.builds(DecodingSpeed, st.floats(1e-3, 1), st.floats(0, 1), st.floats(0, 2))
lessons = st.builds(
    Learnt, st.integers(1, 16), st.integers(1, 60_000), st.none() | st.floats(0.1, 1e4), st.booleans(),
    st.integers(0, 9), st.just(0),
)  # fmt: skip
pasts = st.lists(st.builds(lambda learnt: solution(learnt=learnt), st.none() | lessons), max_size=8).map(tuple)
runs = st.builds(
    RunSoFar,
    left=st.floats(0, 1e5),
    problems_left=st.integers(1, 120),
    mean=st.floats(1, 1e4),
    max_lanes=st.integers(1, 100),
    past=pasts,
    in_flight=st.integers(1, 8),
    asks_unfinished=st.booleans(),
    expected_speed=st.none() | speeds,
)


def plan(run: RunSoFar) -> ProblemPlan:
    return plan_by_price(run, BudgetConfig())


def quick(tokens: float = 9_000, seconds: float | None = 270.0, **changes: object) -> Solution:
    """A problem whose first vote came after so many tokens of 16 lanes."""
    return solution(learnt=replace(Learnt(16, tokens, seconds, voted=True), **changes))  # type: ignore[arg-type]


def run_with(left: float, *past: Solution, problems_left: int = 40, **changes: object) -> RunSoFar:
    return replace(RunSoFar(left, problems_left, 360.0, 16, past), **changes)  # type: ignore[arg-type]


@examples(20)
@given(votes, speeds, st.integers(0, 9), st.integers(0, 30), st.integers(1, 4))
@example(FirstVotes(9.0, 0.7), DecodingSpeed(0.02, 0.3, 1.3), 4, 12, 3)
def test_right_answers_and_seconds_are_the_integrals_summed_by_brute_force(
    first: FirstVotes, speed: DecodingSpeed, row: int, column: int, in_flight: int
) -> None:
    caps, right, spent = offers(first, speed, COUNTS, in_flight)
    lanes, cap = COUNTS[row], -2.5 + 0.2 * column
    rights = seconds = 0.0
    step = 0.01
    for n in range(round((cap + 8) / step)):
        z = -8 + step * (n + 0.5)
        chance = STANDARD.pdf(z) * step
        rights += 0.97 * STANDARD.cdf(1.8 - z) * chance
        tokens = math.exp(first.mean - RACE * math.log(lanes) + z * first.deviation)
        seconds += chance * speed.seconds(tokens, lanes * in_flight)
    at_cap = speed.seconds(math.exp(first.mean - RACE * math.log(lanes) + cap * first.deviation), lanes * in_flight)
    assert caps[row, column] == pytest.approx(at_cap)
    assert right[row, column] == pytest.approx((1 + 0.02 * math.log2(lanes)) * rights, rel=0.02)
    assert spent[row, column] == pytest.approx(1.4 * seconds + (1 - STANDARD.cdf(cap)) * at_cap, rel=0.02)


@given(votes, speeds, st.floats(1, 1e4), st.floats(1, 100))
def test_more_time_never_buys_fewer_right_answers(
    first: FirstVotes, speed: DecodingSpeed, share: float, more: float
) -> None:
    _, right, spent = offers(first, speed, COUNTS)
    assert (right * (share / spent).clip(max=1)).max() <= (right * (share * more / spent).clip(max=1)).max()


@given(votes, st.floats(1e-3, 1), st.floats(0, 2), st.floats(0, 1), st.floats(1, 1e4))
@example(FirstVotes(10.5, 1.1875), 0.125, 0.375, 0.5, 4_209.0)
def test_lanes_that_crowd_each_other_less_are_not_started_in_smaller_numbers(
    first: FirstVotes, step: float, crowding: float, part: float, share: float
) -> None:
    def best(crowding: float) -> list[float]:
        _, right, spent = offers(first, DecodingSpeed(step, 0.0, crowding), COUNTS)
        return [float(value) for value in (right * (share / spent).clip(max=1)).max(axis=1)]

    before, after = int(np.argmax(best(crowding))), best(crowding * part)
    assert after[before] >= 0.9 * max(after[: before + 1]), "but for what a step between two caps is worth"


@given(runs)
def test_a_plan_has_a_lane_no_more_than_are_configured_and_sensible_numbers(run: RunSoFar) -> None:
    made = plan(run)
    assert 1 <= made.lanes <= run.max_lanes
    assert 0 <= made.seconds < math.inf
    assert 0 <= made.price < math.inf


@given(runs.map(lambda run: replace(run, past=())), speeds)
@example(RunSoFar(1e9, 2, 360.0, 16), DecodingSpeed(0.02, 0.1, 1.3))
@example(RunSoFar(9e3, 30, 360.0, 16), DecodingSpeed(0.02, 0.1, 1.3))
@example(RunSoFar(30.0, 30, 360.0, 16, in_flight=3), DecodingSpeed(0.02, 0.1, 1.3))
def test_a_plan_is_the_best_offer_its_time_some_of_its_cap_and_its_price_what_a_second_adds(
    run: RunSoFar, speed: DecodingSpeed
) -> None:
    first, share = learnt_first_votes([]), max(run.share, 1e-6)
    made = plan(replace(run, expected_speed=speed))
    caps, right, spent = (each[0] for each in offers(first, speed, [made.lanes], run.in_flight))
    reached = right * np.minimum(1.0, share / spent)
    _, all_right, all_spent = offers(
        first, speed, [n for n in COUNTS if n < run.max_lanes] or [run.max_lanes], run.in_flight
    )
    assert reached.max() >= (all_right * np.minimum(1.0, share / all_spent)).max() * (1 - 1e-9)
    at = int(reached.argmax())
    usual = speed.seconds(first.tokens(made.lanes), made.lanes * run.in_flight)
    waited = 0.85 if run.asks_unfinished else 1.0
    assert made.seconds == pytest.approx(waited * min(1.4 * caps[at], 2.5 * max(share, usual)))
    if run.problems_left == 1:
        assert made.price == 0
    elif spent[at] > share:
        assert made.price == pytest.approx(right[at] / spent[at])
    elif at > 0:
        unused = min(1.0, spent[at] / share) if at == len(caps) - 1 else 1.0
        assert made.price == pytest.approx((right[at] - right[at - 1]) / (spent[at] - spent[at - 1]) * unused)


def test_lanes_that_cost_no_speed_are_all_started() -> None:
    past = [quick(tokens, tokens / 30) for tokens in (4_000, 9_000, 12_000, 20_000)]
    for left in (2_000, 8_000, 100_000):
        assert plan(run_with(left, *past)).lanes == 16


def test_fewer_lanes_are_started_where_they_crowd_each_other_and_time_is_short() -> None:
    past = [quick(tokens, tokens * 0.02 * (1 + tokens * 16 / 160_000)) for tokens in (4_000, 9_000, 12_000, 20_000)]
    assert plan(run_with(3_000, *past)).lanes < plan(run_with(60_000, *past)).lanes == 16


def test_time_without_end_has_no_price_and_the_last_problem_gets_what_is_left() -> None:
    past = [quick()] * 9
    prices = [plan(run_with(left, *past)).price * 270 for left in (1e4, 1e5, 1e6, 1e12)]
    assert prices == sorted(prices, reverse=True)
    assert prices[-1] < 1e-6
    assert plan(run_with(1e4, *past, problems_left=1)).price == 0
    assert plan(run_with(1e4, *past, problems_left=2)).price > 0


@given(runs)
def test_whatever_a_run_has_learnt_seconds_without_end_are_worth_nothing(run: RunSoFar) -> None:
    assert plan(replace(run, left=1e18)).price < 1e-12


@given(st.floats(10, 1e6), st.floats(1, 10))
def test_a_richer_bank_never_makes_a_second_dearer(left: float, more: float) -> None:
    past = [quick()] * 5
    assert plan(run_with(left * more, *past)).price <= plan(run_with(left, *past)).price * (1 + 1e-9)


def test_the_more_unfinished_lanes_agree_when_asked_the_less_they_are_waited_for() -> None:
    def seconds(asked: int, agreed: int, *, asks: bool = True) -> float:
        past = [quick(asked=asked, agreed=agreed)] * 10
        return plan(run_with(1e4, *past, asks_unfinished=asks)).seconds

    assert seconds(0, 0) == pytest.approx(0.85 * seconds(0, 0, asks=False))
    assert seconds(10, 10) < seconds(10, 5) < seconds(10, 0) < seconds(0, 0, asks=False)


def test_time_in_which_the_engine_was_down_does_not_make_it_slow() -> None:
    past = [quick()] * 4
    down = quick(seconds=None)
    assert plan(run_with(1e4, *past, down)).lanes == plan(run_with(1e4, *past)).lanes
    assert plan(run_with(1e4, *past, down)).price == pytest.approx(plan(run_with(1e4, *past)).price, rel=0.1)


@given(runs, st.floats(1e-3, 1e3))
def test_the_unit_of_time_does_not_matter(run: RunSoFar, unit: float) -> None:
    assume(run.left / run.problems_left > 1)
    scaled = tuple(
        replace(each, learnt=replace(each.learnt, seconds=each.learnt.seconds and each.learnt.seconds * unit))
        if each.learnt
        else each
        for each in run.past
    )
    speed = run.expected_speed and replace(run.expected_speed, first=run.expected_speed.first * unit)
    one, other = plan(run), plan(replace(run, left=run.left * unit, past=scaled, expected_speed=speed))
    assert other.seconds == pytest.approx(one.seconds * unit, rel=1e-6)
    assert other.price * unit == pytest.approx(one.price, rel=1e-6)
    assert other.lanes == one.lanes


@given(runs, speeds)
def test_an_expected_speed_counts_until_one_is_measured(run: RunSoFar, speed: DecodingSpeed) -> None:
    known, unknown = (replace(run, expected_speed=each) for each in (speed, None))
    if any(each.learnt is not None and each.learnt.seconds is not None for each in run.past):
        assert plan(known) == plan(unknown)
    else:
        assert plan(known) == plan(replace(known, past=tuple(each for each in run.past if each.learnt)))


def test_the_first_problem_is_planned_by_the_speed_that_is_expected() -> None:
    fast, slow = (plan(run_with(14_400, expected_speed=DecodingSpeed(step, 0.0, 1.3))) for step in (0.002, 0.02))
    assert fast.lanes == 16 > slow.lanes, "lanes that crowd each other cost time, of which there is enough for the fast"
    assert fast.price < slow.price


def test_a_problem_alone_on_fast_hardware_gets_all_lanes() -> None:
    assert plan(run_with(1_800, problems_left=1, expected_speed=DecodingSpeed(0.015, 0.0, 1.3))).lanes == 16
