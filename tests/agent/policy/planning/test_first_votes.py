"""First votes that are expected after those of a run's earlier problems."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.policy.planning.first_votes import RACE, Awaited, learnt_first_votes
from tests.support.tiers.cases import examples

STANDARD = NormalDist()
waits = st.lists(st.builds(Awaited, st.integers(1, 16), st.floats(500, 60_000), st.booleans()), max_size=6)


def posterior(awaited: Sequence[Awaited]) -> tuple[float, float]:
    """Mean and deviation of the next problem's logarithm, by sums over a far finer grid of the mean."""
    usual, unusual = NormalDist(math.log(1e4), 0.6), NormalDist(math.log(2e3), 1.5)
    means = np.arange(4, 13, 0.02)
    prior = np.array([math.log(0.9 * usual.pdf(mu) + 0.1 * unusual.pdf(mu)) for mu in means])
    logs = {}
    for sigma in (0.4, 0.55, 0.7, 0.9):
        logs[sigma] = prior.copy()
        for each in awaited:
            z = (math.log(each.tokens) + RACE * math.log(each.lanes) - means) / sigma
            later = [math.log(max(STANDARD.cdf(-each), 1e-300)) for each in z] if not each.voted else 0.0
            logs[sigma] += -z * z / 2 - math.log(sigma) if each.voted else later
    highest = max(each.max() for each in logs.values())
    weights = {sigma: np.exp(each - highest) for sigma, each in logs.items()}
    total = sum(each.sum() for each in weights.values())
    mean = sum(float(each @ means) for each in weights.values()) / total
    square = sum(float(each @ ((means - mean) ** 2 + sigma**2)) for sigma, each in weights.items()) / total
    return mean, math.sqrt(square)


@examples(15)
@given(waits)
def test_what_is_learnt_is_the_posterior_integrated_by_brute_force(awaited: list[Awaited]) -> None:
    votes, (mean, deviation) = learnt_first_votes(awaited), posterior(awaited)
    assert votes.mean == pytest.approx(mean, abs=0.15)
    assert votes.deviation == pytest.approx(deviation, abs=0.15)


def test_many_first_votes_are_believed_however_unusual_the_model() -> None:
    for tokens in (150, 1_000, 10_000, 40_000):
        votes = learnt_first_votes([Awaited(8, tokens, voted=True)] * 20)
        assert votes.tokens(8) == pytest.approx(tokens, rel=0.1)


@pytest.mark.parametrize("tokens", [(), (9_000,), (4_000, 20_000)])
def test_within_the_usual_range_the_posterior_is_met_closely(tokens: tuple[int, ...]) -> None:
    awaited = [Awaited(8, each, voted=True) for each in tokens]
    votes = learnt_first_votes(awaited)
    assert (votes.mean, votes.deviation) == pytest.approx(posterior(awaited), abs=0.02)


def test_many_first_votes_far_apart_still_tell_a_mean_between_them() -> None:
    votes = learnt_first_votes([Awaited(1, tokens, voted=True) for tokens in (30, 200_000)] * 60)
    assert votes.mean == pytest.approx((math.log(30) + math.log(200_000)) / 2, abs=0.2)


@given(waits, st.floats(500, 60_000), st.integers(1, 16))
def test_a_problem_without_a_vote_makes_the_next_one_no_easier(
    awaited: list[Awaited], tokens: float, lanes: int
) -> None:
    before = learnt_first_votes(awaited)
    after = learnt_first_votes([*awaited, Awaited(lanes, tokens, voted=False)])
    assert after.mean >= before.mean - 1e-6


@given(waits, st.integers(1, 15))
def test_more_lanes_vote_earlier(awaited: list[Awaited], lanes: int) -> None:
    votes = learnt_first_votes(awaited)
    assert votes.tokens(lanes + 1) < votes.tokens(lanes)


@given(waits)
def test_the_order_of_the_problems_does_not_matter(awaited: list[Awaited]) -> None:
    forth, back = learnt_first_votes(awaited), learnt_first_votes(awaited[::-1])
    assert (forth.mean, forth.deviation) == pytest.approx((back.mean, back.deviation))
