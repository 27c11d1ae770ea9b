"""The bounds of a replay against every choice of problems, and the statistics of its figures."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.support.tiers.cases import examples
from tools.replay.bounds.offline import AccuracyCurve, knapsack, oracle
from tools.shared.intervals import Ratio, interval, mean_ratio, resamples

curves = st.lists(
    st.builds(
        lambda index, times, leaders, end: AccuracyCurve(
            index, 1, tuple(zip(sorted(times), leaders, strict=False)), max([*times, end])
        ),
        st.integers(0, 3),
        st.lists(st.floats(0.1, 100), min_size=1, max_size=4, unique=True),
        st.lists(st.integers(0, 2), min_size=4, max_size=4),
        st.floats(0.1, 100),
    ),
    min_size=1,
    max_size=7,
)


@given(curves, st.floats(0.1, 400))
def test_no_choice_of_problems_beats_the_oracle(run: list[AccuracyCurve], limit: float) -> None:
    times = [accuracy_curve.first_right for accuracy_curve in run if accuracy_curve.first_right is not None]
    best = max(
        count for count in range(len(times) + 1) if any(sum(chosen) <= limit for chosen in combinations(times, count))
    )
    assert oracle(run, limit) == best


@examples(50)
@given(curves, st.floats(1, 400))
def test_the_knapsack_is_between_nothing_and_everything_and_grows_with_the_limit(
    run: list[AccuracyCurve], limit: float
) -> None:
    problems = len(run)
    split = knapsack(run, limit, problems)
    assert -1e-9 <= split <= problems + 1e-9
    assert split <= knapsack(run, 2 * limit, problems) + 1e-6


def test_the_bootstrap_is_over_problems() -> None:
    weights = resamples(30, 0)
    assert weights.shape[1] == 30
    assert (weights.sum(axis=1) == 30).all()
    right = np.array([1.0] * 15 + [0.0] * 15)
    once, often = (
        interval(mean_ratio([Ratio(right * draws, np.full(30, draws))], weights)) for draws in (1.0, 1_000.0)
    )
    assert once == often, "more draws of the same problems are no more problems"
    assert once.value == 0.5
    assert 0.2 < once.high - once.low < 0.5
