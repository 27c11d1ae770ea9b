"""pass@k and majority votes over samples."""

from __future__ import annotations

import itertools
import json
import math
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from agent.metrics import pass_at_k
from agent.types import Problem
from tools.benchmark.published import Published, published_figures, same_model
from tools.benchmark.question import BenchmarkQuestion, BenchmarkResult, Completion, Grade, GradedCompletion
from tools.benchmark.score import majority, score
from tools.benchmark.sets.known import SETS
from tools.benchmark.view import scores_as_json, scores_table
from tools.shared.intervals import wilson

PUBLISHED = Path(__file__).parents[3] / "tools" / "benchmark" / "published.toml"


def verdicts(*questions: str) -> list[GradedCompletion]:
    """A question for each text, a sample for each letter: a capital is right, a dot is no answer."""
    return [
        GradedCompletion(str(number), index, Grade(None if letter == "." else letter.lower(), letter.isupper()))
        for number, letters in enumerate(questions)
        for index, letter in enumerate(letters)
    ]


@given(st.integers(1, 7), st.data())
def test_pass_at_k_is_the_share_of_draws_with_a_right_sample(drawn: int, data: st.DataObject) -> None:
    right, k = data.draw(st.integers(0, drawn)), data.draw(st.integers(1, drawn))
    rights = [True] * right + [False] * (drawn - right)
    draws = list(itertools.combinations(rights, k))
    assert pass_at_k(drawn, right, k) == pytest.approx(sum(any(draw) for draw in draws) / len(draws))


@given(st.integers(1, 300), st.data())
def test_pass_at_k_grows_with_k_from_the_mean_to_whether_any_is_right(drawn: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, drawn))
    values = [pass_at_k(drawn, right, k) for k in range(1, drawn + 1)]
    assert values[0] == pytest.approx(right / drawn)
    assert values[-1] == float(right > 0)
    assert values == sorted(values)


@pytest.mark.parametrize("k", [0, 4, -1])
def test_no_pass_at_k_of_more_than_were_drawn(k: int) -> None:
    with pytest.raises(ValueError, match="of 3 samples"):
        pass_at_k(3, 1, k)


@pytest.mark.parametrize(
    ("letters", "value"),
    [
        ("Aab", 1.0),
        ("abb", 0.0),
        ("Ab", 0.5),
        ("Abc", 1 / 3),
        ("...", 0.0),
        ("..A", 1.0),
        ("AA..b", 1.0),
        ("aBBa", 0.5),
    ],
)
def test_the_majority_shares_ties_and_hears_no_silence(letters: str, value: float) -> None:
    upper = {letter.lower() for letter in letters if letter.isupper()}
    group = [
        GradedCompletion("q", index, Grade(None if letter == "." else letter.lower(), letter.lower() in upper))
        for index, letter in enumerate(letters)
    ]
    assert majority(group) == pytest.approx(value)


def test_figures_are_means_over_questions() -> None:
    figures = score(verdicts("AAAA", "Bbcd", "eeee"))
    assert (figures.questions, figures.samples) == (3, 4)
    assert {k: round(value.value, 6) for k, value in figures.passes.items()} == {
        1: round((1 + 0.25) / 3, 6),
        2: round((1 + 0.5) / 3, 6),
        4: round(2 / 3, 6),
    }
    assert figures.majority is not None
    for value in (*figures.passes.values(), figures.majority):
        assert 0 <= value.low <= value.value <= value.high <= 1


def test_questions_with_fewer_samples_limit_k_and_programs_have_no_majority() -> None:
    figures = score(verdicts("AAA", "..."[:2]))
    assert list(figures.passes) == [1, 2]
    programs = [GradedCompletion(str(number), 0, Grade(None, number > 1)) for number in range(4)]
    assert score(programs).majority is None


@given(st.integers(2, 60), st.data())
def test_the_interval_is_near_the_binomial_one(questions: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(1, questions - 1))
    share = right / questions
    figure = score([GradedCompletion(str(n), 0, Grade("x", n < right)) for n in range(questions)]).passes[1]
    error = math.sqrt(share * (1 - share) / questions)
    assert figure.value == pytest.approx(share)
    assert figure.high - figure.low == pytest.approx(2 * 1.96 * error, abs=0.12 + error)


@given(st.integers(1, 500), st.booleans())
def test_the_interval_has_a_width_even_where_all_questions_agree(questions: int, right: bool) -> None:
    figure = score([GradedCompletion(str(n), 0, Grade("x", right)) for n in range(questions)]).passes[1]
    width = 1.959964**2 / (questions + 1.959964**2)
    assert (figure.low, figure.high) == pytest.approx((1 - width, 1.0) if right else (0.0, width))


@given(st.integers(1, 200), st.data())
def test_wilsons_interval_holds_the_shares_from_which_the_count_is_no_surprise(count: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, count))
    figure = wilson(right / count, count)
    assert 0 <= figure.low <= figure.value <= figure.high <= 1
    for bound in (figure.low, figure.high):  # where the count is 1.96 standard deviations away, or certain
        if 1e-9 < bound < 1 - 1e-9:
            surprise = abs(right / count - bound) / math.sqrt(bound * (1 - bound) / count)
            assert surprise == pytest.approx(1.959964, rel=1e-4)


def test_every_published_figure_has_a_source_and_a_set_that_there_is() -> None:
    figures = tomllib.loads(PUBLISHED.read_text(encoding="utf-8"))["figure"]
    loaded = [figure for name in SETS for figure in published_figures(name)]
    assert len(loaded) == len(figures) > 10
    for figure in loaded:
        assert figure.source
        assert 0 < figure.percent < 100
        assert figure.metric in ("pass@1", "maj@64")
    assert len({(f.set, f.model, f.metric, f.source) for f in loaded}) == len(loaded)


@pytest.mark.parametrize(
    ("set_name", "percent"), [("gpqa-diamond", 65.2), ("aime2024", 50.0), ("math500", 90.6), ("livecodebench", 50.0)]
)
def test_the_previews_figures_are_shown_next_to_ours(set_name: str, percent: float) -> None:
    (figure,) = same_model(published_figures(set_name), "Qwen/QwQ-32B-Preview-AWQ", "pass@1")
    assert figure.percent == percent


@pytest.mark.parametrize(
    ("name", "model", "same"),
    [
        ("QwQ-32B", "Qwen/QwQ-32B", True),
        ("QwQ-32B", "qwq-32b-q4_k_m.gguf", True),
        ("QwQ-32B", "/models/QwQ-32B-AWQ", True),
        ("QwQ-32B", "QwQ-32B-Preview", False),
        ("QwQ-32B-Preview", "QwQ-32B", False),
        ("DeepSeek-R1", "DeepSeek-R1-Distill-Llama-8B", False),
        ("QwQ-32B", "my-QwQ-32B", False),
        ("QwQ-32B", "", False),
    ],
)
def test_a_model_is_known_by_its_name_however_it_is_stored(name: str, model: str, same: bool) -> None:
    assert Published("aime2024", name, "pass@1", 50.0, "own").is_of(model) is same


def outcome(set_name: str, model: str) -> BenchmarkResult:
    known = verdicts("Aab", "ccc")
    questions = {str(n): BenchmarkQuestion(Problem(str(n), "What?"), "a") for n in range(4)}
    completions = [Completion(verdict.question, verdict.index, "text") for verdict in known]
    return BenchmarkResult(set_name, model, questions, completions, known)


def test_the_table_has_ours_the_interval_and_the_published_figures() -> None:
    console = Console(width=120, record=True, quiet=False, file=None, force_terminal=False)
    with console.capture() as capture:
        console.print(scores_table(outcome("aime2024", "QwQ-32B")))
    text = capture.get()
    assert "2 of 4 questions, 3 samples each" in text
    lines = {line.split("│")[1].strip(): line for line in text.splitlines() if line.startswith("│")}
    assert "16.7" in lines["pass@1"]
    assert "79.5" in lines["pass@1"]
    assert {"pass@2", "pass@3", "maj@3"} <= lines.keys()
    assert "OpenMath-Nemotron's model card" in text
    assert "bootstrap over questions" in text
    assert "DeepSeek-R1" in text


def test_the_json_says_the_same() -> None:
    told = json.loads(json.dumps(scores_as_json(outcome("aime2024", "QwQ-32B"))))
    assert [figure["metric"] for figure in told["figures"]] == ["pass@1", "pass@2", "pass@3", "maj@3"]
    assert [figure["percent"] for figure in told["figures"][0]["published"]] == [79.5, 78.1]
    assert told["figures"][0]["value"] == pytest.approx(1 / 6)
    assert len(told["verdicts"]) == 6
    assert not scores_as_json(outcome("aimo3-reference", ""))["published"]
