"""The figures of a report against exact enumeration and hand-made runs."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise, permutations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from agent.config import load_config
from agent.policy.voting import tally
from agent.types import Problem, Sample, SampleEnd
from tests.support.runs.report_runs import vote, write_run
from tests.support.tiers.cases import examples
from tools.report.data import ReportedRun, load_run
from tools.report.stats import (
    MAX_SUBSETS,
    ballots_of,
    bin_counts,
    common_problems,
    confidence_auroc,
    differences,
    majority_curve,
    mean_interval,
    nice_edges,
    projected_score,
    right_share,
)

CONFIG = load_config("qwq")
ANSWERS = st.lists(st.sampled_from((1, 2, 3, None)), min_size=1, max_size=5)
VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20)


def drawn(answers: list[int | None]) -> list[Sample]:
    return [vote(index, answer, tokens=index + 1, forced=index % 3 == 2) for index, answer in enumerate(answers)]


def run_of(directory: Path, answers: dict[str, list[int | None]], truth: int | None = 1) -> ReportedRun:
    problems = [Problem(id_, f"question {id_}", truth) for id_ in answers]
    return load_run(write_run(directory, problems, {id_: drawn(list_) for id_, list_ in answers.items()}))


@given(ANSWERS, st.integers(1, 6))
def test_votes_of_small_cases_are_exact(answers: list[int | None], size: int) -> None:
    samples = drawn(answers)
    size_there = min(size, len(samples))
    orders = list(permutations(samples))
    leaders = [tally(order[:size_there], CONFIG.voting, CONFIG.rules).leader for order in orders]
    exact = Fraction(sum(leader is not None and leader.answer == 1 for leader in leaders), len(orders))
    assert right_share(ballots_of(samples, CONFIG), 1, size, np.random.default_rng(0)) == pytest.approx(float(exact))


@given(st.integers(0, 14), st.sampled_from((3, 5, 7)))
@examples(30)
def test_drawn_subsets_come_near_the_exact_value(right: int, size: int) -> None:
    """Of 14 samples that say 1 or 2 a subset of odd size is right if most of it says 1: a hypergeometric tail."""
    samples = [vote(index, 1 if index < right else 2) for index in range(14)]
    ways = [math.comb(right, k) * math.comb(14 - right, size - k) for k in range(size + 1)]
    exact = sum(ways[size // 2 + 1 :]) / math.comb(14, size)
    found = right_share(ballots_of(samples, CONFIG), 1, size, np.random.default_rng(0))
    assert abs(found - exact) < 5 * math.sqrt(exact * (1 - exact) / MAX_SUBSETS) + 1e-9


@given(st.lists(ANSWERS, min_size=1, max_size=4))
@examples(20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_curve_goes_from_pass_at_1_to_the_vote_of_all(
    tmp_path_factory: pytest.TempPathFactory, lists: list[list[int | None]]
) -> None:
    run = run_of(tmp_path_factory.mktemp("runs") / "run", {f"p{n}": answers for n, answers in enumerate(lists)})
    curve = majority_curve(run)
    assert curve[0].samples == 1
    assert curve[0].accuracy.value == pytest.approx(run.sums.pass_at_1)
    assert curve[-1].samples == max(map(len, lists))
    assert curve[-1].accuracy.value == pytest.approx(run.sums.majority)
    for point in curve:
        assert 0 <= point.accuracy.low <= point.accuracy.high <= 1


def test_a_hand_made_curve(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", {"p": [1, 1, 2], "q": [3]})
    assert [point.samples for point in majority_curve(run)] == [1, 2, 3]
    first, second, third = (point.accuracy.value for point in majority_curve(run))
    assert first == pytest.approx((2 / 3 + 0) / 2)
    assert second == pytest.approx(0.5)  # 1 and 2 tie: the shorter sample says 1
    assert third == pytest.approx(0.5)


def test_cancelled_samples_and_unknown_truths_are_left_out(tmp_path: Path) -> None:
    assert majority_curve(run_of(tmp_path / "unknown", {"p": [1]}, truth=None)) == []
    assert projected_score(run_of(tmp_path / "unknown too", {"p": [1]}, truth=None)) is None
    cut = vote(1, None, end=SampleEnd.CANCELLED)
    run = load_run(write_run(tmp_path / "cut", [Problem("p", "?", 1)], {"p": [vote(0, 1), cut]}))
    assert [(point.samples, point.accuracy.value) for point in majority_curve(run)] == [(1, 1.0)]


def test_the_projected_score_scales_the_share_of_right_answers(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", {f"p{n}": [1 if n < 6 else 2] for n in range(8)})
    projected = projected_score(run)
    assert projected is not None
    assert projected.value == pytest.approx(50 * 6 / 8)
    assert 0 <= projected.low < projected.value < projected.high <= 50


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=8))
@settings(deadline=None)
def test_an_interval_lies_within_the_values(values: list[float]) -> None:
    found = mean_interval(values)
    assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9
    assert found.value == pytest.approx(sum(values) / len(values), abs=1e-9)


def test_an_interval_of_many_values_is_that_of_the_normal_distribution() -> None:
    values = [0.0, 1.0] * 200
    found = mean_interval(values)
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.5 / 20, rel=0.1)


class TestTwoRuns:
    def test_differences_are_paired_by_problem(self, tmp_path: Path) -> None:
        first = run_of(tmp_path / "first", {"p": [1], "q": [2, 2], "only here": [1]})
        second = run_of(tmp_path / "second", {"q": [1], "p": [1], "only there": [2]})
        found = {difference.metric.name: difference for difference in differences(first, second)}
        right, single = found["share right"], found["pass@1"]
        tokens, seconds = found["tokens by problem"], found["seconds by problem"]
        assert (single.first, single.second) == (0.5, 1.0)
        assert (right.first, right.second, right.change.value, right.problems) == (0.5, 1.0, 0.5, 2)
        assert (tokens.first, tokens.second, tokens.change.value) == (2.0, 1.0, -1.0)
        assert seconds.change.value == 0.0

    def test_the_other_way_round_all_signs_change(self, tmp_path: Path) -> None:
        first = run_of(tmp_path / "first", {"p": [1], "q": [2, 2], "r": [1, 1, 1]})
        second = run_of(tmp_path / "second", {"p": [2], "q": [1], "r": [1]})
        for one, other in zip(differences(first, second), differences(second, first), strict=True):
            assert one.change.value == pytest.approx(-other.change.value)
            assert (one.change.low, one.change.high) == pytest.approx((-other.change.high, -other.change.low))

    def test_another_question_under_the_same_id_is_no_pair(self, tmp_path: Path) -> None:
        first = run_of(tmp_path / "first", {"p": [1]})
        problem = replace(first.problems[0].problem, text="another question")
        second = load_run(write_run(tmp_path / "second", [problem], {"p": drawn([1])}))
        assert common_problems(first, second) == []


@given(st.lists(st.tuples(st.booleans(), st.sampled_from((-0.5, -0.4, -0.3, None))), min_size=1, max_size=8))
@examples(30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_auroc_of_confidence_is_the_chance_that_a_right_vote_has_more_of_it(
    tmp_path_factory: pytest.TempPathFactory, votes: list[tuple[bool, float | None]]
) -> None:
    samples = [vote(n, 1 if right else 2, mean_logprob=sure) for n, (right, sure) in enumerate(votes)]
    run = load_run(write_run(tmp_path_factory.mktemp("runs") / "run", [Problem("p", "?", 1)], {"p": samples}))
    rights = [sure for right, sure in votes if right and sure is not None]
    wrongs = [sure for right, sure in votes if not right and sure is not None]
    won = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in product(rights, wrongs)]
    assert confidence_auroc(run) == (pytest.approx(sum(won) / len(won)) if won else None)


@given(VALUES, st.integers(2, 30))
def test_edges_hold_all_values_in_even_bins(values: list[float], bins: int) -> None:
    assume(max(values) == min(values) or max(values) - min(values) > 1e-3)
    edges = nice_edges(values, bins)
    steps = [high - low for low, high in pairwise(edges)]
    assert edges[0] - 1e-6 <= min(values) <= max(values) <= edges[-1] + 1e-6
    assert max(steps) == pytest.approx(min(steps), rel=1e-3, abs=1e-9)
    assert 1 <= len(steps) <= bins + 2
    assert sum(bin_counts(values, edges)) == len(values)


def test_values_on_an_edge_are_counted_once() -> None:
    assert bin_counts([0.0, 1.0, 1.5, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0]) == [1, 2, 2]
    assert nice_edges([0.0, 100.0], 5) == [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
