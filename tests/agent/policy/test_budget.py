"""What the time bank grants a problem."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import Config, SampleConfig
from agent.editions import problems_to_come
from agent.policy.budget import TimeBank, grant
from agent.policy.planning.planners import PLANNERS
from agent.policy.planning.speed import DecodingSpeed
from agent.policy.settings import BudgetConfig
from agent.types import Learnt, Solution
from tests.support import samples

budgets = st.builds(
    BudgetConfig,
    planner=st.sampled_from(sorted(PLANNERS)),
    time_limit_seconds=st.floats(1, 1e5),
    spread=st.floats(1, 4),
    floor_seconds=st.floats(0, 100),
    ceiling_seconds=st.floats(1, 2000),
    answer_reserve_seconds=st.floats(0, 50),
)
expected = st.none() | st.builds(DecodingSpeed, st.floats(1e-4, 10), st.floats(0, 1), st.floats(0, 5))


def test_an_even_share_times_the_spread() -> None:
    budget = with_(
        BudgetConfig(planner="spread", spread=1.5, floor_seconds=10, ceiling_seconds=600, answer_reserve_seconds=8)
    )
    allowance = grant(18_000, 50, budget)
    assert (allowance.seconds, allowance.reasoning_seconds) == (540.0, 532.0)
    assert grant(18_000, 10, budget).seconds == 600
    assert grant(7, 1, budget).seconds == 7


def test_an_empty_bank_grants_nothing() -> None:
    assert grant(0, 3, Config()).seconds == 0


def with_(budget: BudgetConfig) -> Config:
    return Config(budget=budget)


def solution(seconds: float, first_vote: float | None = None) -> Solution:
    """What the bank looks at of a problem that took so long."""
    return samples.solution(seconds=seconds, first_vote=first_vote)


@pytest.mark.parametrize("planner", sorted({*PLANNERS} - {"price"}))
def test_a_second_has_its_price_whoever_grants_it_and_a_grant_rule_starts_all_lanes(planner: str) -> None:
    past = [samples.solution(learnt=Learnt(16, 9_000, 270.0, voted=True))]
    planned = grant(9_000, 40, Config(), past)
    granted = grant(9_000, 40, with_(BudgetConfig(planner=planner)), past)
    assert granted.lanes == Config().sample.count
    assert granted.price == planned.price > 0


@given(st.floats(0, 1e5), st.integers(1, 60), budgets, expected)
def test_never_more_than_is_left_and_never_negative(
    left: float, problems: int, budget: BudgetConfig, speed: DecodingSpeed | None
) -> None:
    allowance = grant(left, problems, with_(budget), (), speed)
    assert 0 <= allowance.reasoning_seconds <= allowance.seconds <= left
    assert 0 <= allowance.extension_seconds <= (left - allowance.seconds)
    assert allowance.share * problems == pytest.approx(left)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.floats(1, 1e5), budgets)
def test_a_run_never_overruns_whatever_its_problems_use(used: list[float], limit: float, budget: BudgetConfig) -> None:
    now = 1e6
    bank = TimeBank(limit, lambda: now)
    for done, share in enumerate(used):
        now += share * grant(bank.left, len(used) - done, with_(budget)).seconds
    assert now - 1e6 <= limit * (1 + 1e-9)


def test_the_floor_gives_way_to_the_even_share() -> None:
    low = BudgetConfig(planner="equal", time_limit_seconds=50, floor_seconds=60)
    assert grant(100, 50, with_(low)).seconds == 2
    assert grant(100, 2, with_(low)).seconds == 50
    assert grant(200, 2, with_(low)).seconds == 60
    assert grant(100, 50, with_(BudgetConfig(planner="spread", spread=3, floor_seconds=60))).seconds == 6


@given(st.floats(1, 1e5), st.integers(2, 60), st.floats(0, 1e6))
def test_no_floor_leaves_a_later_problem_without_its_share(left: float, problems: int, floor: float) -> None:
    """Each problem uses all that it is granted, by the rule that lends nothing."""
    budget = with_(BudgetConfig(planner="equal", time_limit_seconds=1e-3, floor_seconds=floor))
    share = left / problems
    for to_go in range(problems, 0, -1):
        seconds = grant(left, to_go, budget).seconds
        assert min(floor, share) * (1 - 1e-9) <= seconds <= share * (1 + 1e-9) or seconds == pytest.approx(floor)
        left -= seconds
    assert left >= -1e-6


@given(st.floats(0, 1e5), st.integers(1, 60), budgets, st.floats(0, 1e6))
def test_a_floor_above_the_even_share_is_as_good_as_one_that_is_the_share(
    left: float, problems: int, budget: BudgetConfig, more: float
) -> None:
    share = left / problems
    at, above = (budget.model_copy(update={"floor_seconds": floor}) for floor in (share, share + more))
    assert grant(left, problems, with_(above)).seconds == grant(left, problems, with_(at)).seconds


@given(st.integers(2, 60), budgets)
def test_time_that_is_not_used_flows_back(problems: int, budget: BudgetConfig) -> None:
    spread = with_(budget.model_copy(update={"planner": "spread"}))
    assert grant(990, problems - 1, spread).seconds >= grant(990 - 50, problems - 1, spread).seconds


def bank(rule: str, left: float, problems_left: int, used: Sequence[float]) -> float:
    """What the rule grants in a competition of 360 s a problem."""
    limit = 360.0 * (problems_left + len(used))
    budget = BudgetConfig(planner=rule, time_limit_seconds=limit, floor_seconds=0, ceiling_seconds=1e9)
    return grant(left, problems_left, with_(budget), [solution(seconds) for seconds in used]).seconds


def test_an_equal_slice_knows_no_roll_over() -> None:
    assert bank("equal", 17_900, 49, [100]) == pytest.approx(360)


def test_the_clamp_of_aimo_3() -> None:
    assert bank("aimo3-clamp", 18_000, 50, []) == pytest.approx(960)
    assert bank("aimo3-clamp", 5_000, 20, [100] * 30) == pytest.approx(5_000 - 19 * 240)
    assert bank("aimo3-clamp", 1_000, 20, [100] * 30) == pytest.approx(240)


def test_nemoskills_lends_what_was_left_over() -> None:
    assert bank("nemoskills", 18_000, 50, []) == pytest.approx(350)
    assert bank("nemoskills", 17_000, 49, [250]) == pytest.approx(450)
    assert bank("nemoskills", 17_000, 48, [50, 50]) == pytest.approx(560)
    assert bank("nemoskills", 17_000, 48, [50, 560]) == pytest.approx(350 + 90)


@given(
    st.floats(0, 1e5),
    st.integers(1, 60),
    st.integers(1, 64),
    budgets,
    st.lists(st.tuples(st.floats(0, 1e4), st.none() | st.floats(0, 1e4)), max_size=9),
)
def test_there_is_always_a_lane_and_never_more_than_configured(
    left: float, problems: int, count: int, budget: BudgetConfig, past: list[tuple[float, float | None]]
) -> None:
    config = Config(sample=SampleConfig(count=count), budget=budget)
    lanes = grant(left, problems, config, [solution(*one) for one in past]).lanes
    assert lanes is not None
    assert 1 <= lanes <= count


def test_spent_time_of_an_interrupted_run_counts() -> None:
    now = 100.0
    bank = TimeBank(1000, lambda: now, spent=300)
    assert (bank.spent, bank.left) == (300, 700)
    now = 900.0
    assert (bank.spent, bank.left) == (1100, 0)


@given(st.floats(1, 1e5), st.integers(1, 60), st.lists(st.floats(0, 1), min_size=1, max_size=90), budgets)
def test_a_number_of_problems_that_was_wrong_never_overruns_the_bank(
    limit: float, expected: int, used: list[float], budget: BudgetConfig
) -> None:
    now = 0.0
    bank = TimeBank(limit, lambda: now)
    for answered, part in enumerate(used):
        left = problems_to_come(expected, answered)
        assert left >= 1
        allowance = grant(bank.left, left, with_(budget))
        assert 0 <= allowance.seconds <= bank.left
        now += part * allowance.seconds
    assert now <= limit * (1 + 1e-9)


@given(st.floats(1, 1e5), st.integers(1, 60), st.integers(0, 60), st.integers(0, 60), st.floats(1, 4))
def test_too_many_problems_expected_never_spend_more_than_the_true_number_and_too_few_no_more_than_their_share(
    left: float, true: int, more: int, answered: int, spread: float
) -> None:
    budget = with_(BudgetConfig(planner="spread", spread=spread, floor_seconds=0, ceiling_seconds=1e9))
    if answered < true:
        right = grant(left, problems_to_come(true, answered), budget).seconds
        assert grant(left, problems_to_come(true + more, answered), budget).seconds <= right
    beyond = grant(left, problems_to_come(true, true + answered), budget).seconds
    assert beyond <= spread * left / 4 * (1 + 1e-9), "a quarter of what is left, and spread of these"


def test_the_last_problems_that_were_expected_leave_time_for_a_tenth_more() -> None:
    assert [problems_to_come(50, answered) for answered in (0, 44, 45, 46, 49, 50, 59, 60)] == [50, 6, 5, 4, 4, 5, 5, 6]
    assert [problems_to_come(8, answered) for answered in (0, 7, 8, 39, 40)] == [8, 1, 4, 4, 4]
    assert problems_to_come(8, 50) == 5


@given(st.integers(1, 150), st.integers(0, 300))
def test_with_each_problem_that_comes_no_fewer_are_expected_in_all(expected: int, answered: int) -> None:
    now, after = problems_to_come(expected, answered), problems_to_come(expected, answered + 1)
    assert now >= max(1, expected - answered, answered // 10)
    assert answered + 1 + after >= answered + now
