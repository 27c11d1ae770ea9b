"""The figures of reports: what each is on small cases, and that every report shows every one of them."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from agent.config import load_config
from agent.metrics import (
    METRICS,
    ClosedProblem,
    Metric,
    closed_problems,
    is_right,
    pass_at_1,
    pass_at_k,
    plain_majority,
)
from agent.policy.voting import tally
from agent.types import Problem, Sample, SampleEnd, Solution, StopReason, ToolRun, ToolStatus, Turn, Usage
from agent.views.table import render
from agent.views.totals import AttemptCount, count_attempts, totals
from tests.support.runs.report_runs import vote, write_run
from tests.support.samples import sample, solution, tool_run
from tools.report.data import load_run
from tools.report.figures import figures
from tools.report.html_page import page

CONFIG = load_config("qwq")
answers = st.none() | st.integers(0, 3)


def closed(samples: list[Sample], truth: int | None, answer: int | None = None) -> ClosedProblem:
    votes = tally(samples, CONFIG.voting, CONFIG.rules)
    tokens = sum(each.tokens for each in samples)
    solution = Solution("p1", answer, votes, StopReason.MARGIN, len(samples), 0, tokens, 0, 12.5, 60.0, 12.5)
    return ClosedProblem(Problem("p1", "?", truth), solution, tuple(samples))


def values(problem: ClosedProblem, **keys: object) -> dict[str, float | None]:
    config = load_config("qwq", {key.replace("__", "."): value for key, value in keys.items()})
    return {metric.name: metric.value(problem, config) for metric in METRICS}


def test_a_sample_that_was_lost_with_the_engine_and_drawn_again_is_one_attempt() -> None:
    lost = [sample(None, index=index, end=SampleEnd.ENGINE_ERROR) for index in range(4)]
    ran_code = (Turn("x", 1, 1.0, tool_run=tool_run("7")),)
    drawn = [*lost, sample(7, index=0, turns=ran_code), sample(8, index=1)]
    assert pass_at_1(drawn, 7) == 1 / 4
    found = closed(drawn, 7)
    sums = totals([found.problem], [found.solution], drawn, CONFIG.rules)
    assert sums.pass_at_1 == 1 / 4
    assert (sums.with_code.samples, sums.without_code.samples) == (1, 3)


@given(st.lists(answers, min_size=1, max_size=8), st.integers(0, 3))
def test_pass_at_1_is_the_share_of_attempts_that_are_right(drawn: list[int | None], truth: int) -> None:
    cancelled = sample(None, end=SampleEnd.CANCELLED)
    samples = [*(sample(answer) for answer in drawn), cancelled]
    assert pass_at_1(samples, truth) == pytest.approx(drawn.count(truth) / len(drawn))
    assert pass_at_1(samples, None) is None
    assert pass_at_1([cancelled], truth) is None


@given(st.lists(st.booleans(), min_size=1, max_size=7), st.data())
def test_pass_at_k_is_the_share_of_subsets_with_a_right_sample(rights: list[bool], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(rights)))
    subsets = [any(chosen) for chosen in combinations(rights, k)]
    exact = Fraction(sum(subsets), len(subsets))
    assert pass_at_k(len(rights), sum(rights), k) == pytest.approx(float(exact))


def test_a_tie_of_a_plain_majority_counts_by_its_share() -> None:
    assert plain_majority({"1": 2, "2": 2, "3": 1}, {"1": True, "2": False, "3": False}) == 0.5
    assert plain_majority({"1": 2, "2": 1}, {"1": False, "2": True}) == 0
    assert plain_majority({}, {}) == 0


def test_the_majority_is_that_of_the_run_s_own_rule() -> None:
    run = ToolRun("print(7)", "7", ToolStatus.OK, 1.0)
    backed = sample(7, tokens=90, turns=(Turn("text", 90, 1.0, "", run),))
    problem = closed([backed, sample(5)], truth=7)
    assert values(problem)["majority of all samples"] == 0
    assert values(problem, voting__code_bonus=0.5)["majority of all samples"] == 1


@given(st.lists(answers, max_size=6), answers, answers)
def test_figures_that_need_a_truth_say_nothing_without_one(
    drawn: list[int | None], answer: int | None, truth: int | None
) -> None:
    found = values(closed([sample(each) for each in drawn], truth, answer))
    needing = {"share right", "pass@1", "majority of all samples", "gain of voting over pass@1"}
    if truth is None:
        assert {name for name, value in found.items() if value is None} >= needing
    else:
        assert found["share right"] == (answer == truth) == is_right(answer, truth)
        assert (found["pass@1"] is None) == (not drawn)
    assert found["seconds by problem"] == 12.5
    assert found["tokens by sample"] == (10 if drawn else None)


def test_what_code_gains_is_told_by_the_truth_or_else_by_the_votes() -> None:
    turns = (Turn("text", 10, 1.0, "", tool_run("7")), Turn("text", 0, 1.0, "", tool_run("7")))
    ran = [sample(7, turns=turns), sample(7, turns=turns[:1]), sample(5, turns=turns[:1])]
    others = [sample(7), sample(None), sample(3, end=SampleEnd.CANCELLED)]
    found = values(closed([*ran, *others], truth=7, answer=7))
    assert found["samples that ran code"] == pytest.approx(3 / 5)
    assert found["tool runs by sample"] == pytest.approx(4 / 5)
    assert found["pass@1 with code"] == pytest.approx(2 / 3)
    assert found["pass@1 without code"] == 0.5
    assert found["gain of code within a problem"] == pytest.approx(2 / 3 - 1 / 2)
    assert found["votes for the answer with code"] is found["votes for the answer without code"] is None
    unknown = values(closed([*ran, *others], truth=None, answer=7))
    assert unknown["votes for the answer with code"] == pytest.approx(2 / 3)
    assert unknown["votes for the answer without code"] == 0.5
    assert unknown["pass@1 with code"] is unknown["gain of code within a problem"] is None
    assert values(closed(ran, truth=7, answer=7))["gain of code within a problem"] is None
    assert values(closed([], truth=7))["samples that ran code"] is None


def test_attempts_are_counted_at_closed_problems_alone() -> None:
    samples = [sample(7), sample(5), sample(None), sample(7, problem_id="open"), sample(1, end=SampleEnd.CANCELLED)]
    solved = [solution(votes={7: 2})]
    assert count_attempts(solved, samples, {"p1": 5}) == AttemptCount(3, voted_for_answer=1, known=3, right=1)
    assert count_attempts(solved, samples, {"p1": None}) == AttemptCount(3, voted_for_answer=1, known=0, right=0)
    unanswered = count_attempts([solution(votes={})], samples, {})
    assert unanswered.voted_for_answer == 0


def test_a_value_is_shown_with_its_digits_and_with_a_sign_where_it_is_a_difference() -> None:
    by_name = {metric.name: metric for metric in METRICS}
    assert by_name["tokens by problem"].text(12_345.6) == "12,346"
    assert by_name["pass@1"].text(0.25, difference=True) == "+0.250"
    assert by_name["gain of voting over pass@1"].text(0.25) == "+0.250"


@given(st.lists(st.tuples(st.lists(answers, max_size=4), answers, answers), max_size=4))
def test_a_metric_of_a_run_is_its_mean_over_the_problems_of_which_it_says_something(
    drawn: list[tuple[list[int | None], int | None, int | None]],
) -> None:
    problems = [closed([sample(each) for each in votes], truth, answer) for votes, truth, answer in drawn]
    for metric in METRICS:
        values = [value for each in problems if (value := metric.value(each, CONFIG)) is not None]
        expected = pytest.approx(sum(values) / len(values)) if values else None
        assert metric.mean(problems, CONFIG) == expected


def test_samples_go_with_the_solution_of_their_problem_and_an_open_problem_has_none() -> None:
    known, strange = Problem("p1", "?", 7), "not in the set"
    samples = [sample(7), sample(5, problem_id="open"), sample(3, problem_id=strange), sample(9)]
    first, second = closed_problems([known, Problem("open", "?", 5)], [solution(strange), solution("p1")], samples)
    assert (first.problem.id, first.right, first.samples) == (strange, None, (samples[2],))
    assert (second.problem, second.samples) == (known, (samples[0], samples[3]))


def test_a_metric_with_a_summary_is_below_the_table_of_a_run_and_no_other_is(monkeypatch: pytest.MonkeyPatch) -> None:
    entered = [Metric("shown", lambda *_: 0.5, 2, summary="half is {:.2f}"), Metric("not shown", lambda *_: 0.5, 2)]
    silent = Metric("silent", lambda *_: None, 2, summary="silent {:.0%}")
    monkeypatch.setattr("agent.views.table.METRICS", (*entered, silent))
    console = Console(width=200)
    with console.capture() as capture:
        console.print(render([Problem("p1", "?", 7)], [solution("p1", {7: 1})], [sample(7), sample(5)], CONFIG))
    assert "1 of 1 answered · 1 of 1 known correct · half is 0.50" in capture.get().splitlines()


def test_every_metric_is_in_the_terminal_s_table_on_the_page_and_in_the_comparison(tmp_path: Path) -> None:
    problems = [Problem("p1", "?", 1), Problem("p2", "?")]
    turns = (Turn("text", 9, 1.0, "", tool_run("1")),)
    used = Usage(2, 0, 100, 50, 9, 0.01, "USD")
    samples = {name: [replace(vote(0, 1), turns=turns, usage=used), vote(1, 1), vote(2, 2)] for name in ("p1", "p2")}
    runs = [load_run(write_run(tmp_path / name, problems, samples)) for name in ("a", "b")]
    console = Console(width=200)
    with console.capture() as capture:
        console.print(figures(runs))
    alone, both = ("".join(page(chosen, iter)) for chosen in (runs[:1], runs))
    for metric in METRICS:
        cell = f'<th scope="row">{metric.name}</th>'
        assert metric.name in capture.get()
        assert alone.count(cell) == 1
        assert both.count(cell) == 3  # each run and their difference
    assert len({metric.name for metric in METRICS}) == len(METRICS)
