"""What a solution shows of itself: the answer, its votes and doubts, and nothing that a model could do with it."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.jupyter.solution import SolutionWithSamples, with_samples
from agent.jupyter.tables import solutions_table
from agent.policy.voting import tally
from agent.types import Problem, Sample, SampleEnd, Turn
from agent.views.sample_votes import sample_votes
from tests.support.doubles import config_with
from tests.support.samples import sample, solution, tool_run
from tests.support.tiers.cases import examples

CONFIG = config_with()
TAGS = {"b", "details", "div", "i", "p", "pre", "summary", "table", "td", "th", "tr"}
ATTACK = '<img src=x onerror=alert(1)></pre><script>alert(1)</script> $\\href{javascript:alert(1)}{x}$ "><b onclick=x>'


class _Tags(HTMLParser):
    """Keeps the tags that are not ours, and all text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.foreign: list[str] = []
        self.shown = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in TAGS or {name for name, _ in attrs} - {"style", "class", "open"}:
            self.foreign.append(f"{tag} {attrs}")

    def handle_data(self, data: str) -> None:
        self.shown += data


def solved(*samples: Sample, truth: int | None = None) -> SolutionWithSamples:
    votes = tally(samples, CONFIG.voting, CONFIG.rules)
    answer = votes.leader.answer if votes.leader else None
    closed = solution("p1", answer=answer, tally=votes, samples_started=len(samples))
    return with_samples([closed], [Problem("p1", "Why?", truth)], {"p1": samples}, CONFIG)[0]


def shown(outcome: SolutionWithSamples) -> str:
    page = _Tags(outcome._repr_html_())
    assert page.foreign == []
    return page.shown


def written(text: str, **changes: object) -> Sample:
    return replace(sample(42), turns=(Turn(text, 10, 1.0),), **changes)  # type: ignore[arg-type]


def test_a_sure_answer_is_big_and_a_tied_or_guessed_one_is_not() -> None:
    sure = solved(*(sample(42, index=index) for index in range(3)))
    tied = solved(sample(42), sample(7, index=1))
    guessed = solved(sample(42, forced=True, end=SampleEnd.DEADLINE))
    assert "doubtful" not in shown(sure) and "font-size:2em" in sure._repr_html_()
    for doubtful, word in ((tied, "tie at a weight of 1"), (guessed, "was a guess")):
        assert "doubtful" in shown(doubtful) and word in shown(doubtful) and word in repr(doubtful)
        assert "font-size:2em" not in doubtful._repr_html_()


def test_without_any_answer_it_says_so() -> None:
    nothing = solved(sample(None))
    assert "no answer" in shown(nothing) and "No sample gave an answer." in shown(nothing)
    assert repr(nothing).startswith("p1: no answer\n")


def test_where_the_truth_is_known_it_says_whether_the_answer_is_right() -> None:
    assert "right" in shown(solved(sample(42), truth=42))
    assert "wrong, the answer is 7" in shown(solved(sample(42), truth=7))


def test_votes_are_shown_with_weights_and_guesses() -> None:
    html = solved(sample(42), sample(42, index=1, forced=True, end=SampleEnd.DEADLINE))._repr_html_()
    assert "<td>42</td><td>2</td><td>1.5</td><td>1</td>" in html


def test_the_shortest_agreeing_sample_is_shown_with_code_and_output() -> None:
    run = tool_run("42")
    code = replace(
        sample(42, index=1),
        turns=(Turn("```python\nprint(6 * 7)\n```", 5, 1.0, inserted="\n```output\n42\n```\n", tool_run=run),),
    )
    page = solved(written("A long story \\boxed{42}", index=0), code)._repr_html_()
    assert "number 2, 5 tokens" in page and "long story" not in page
    assert page.count("<pre") == 2


def test_how_each_sample_came_to_its_vote_is_told() -> None:
    ran = replace(sample(42, index=3), turns=(Turn("x", 5, 1.0, tool_run=tool_run("42")),))
    samples = [
        sample(42),
        sample(7, index=1, forced=True, end=SampleEnd.DEADLINE),
        sample(7, index=2, forced=True, end=SampleEnd.NO_ANSWER),
        ran,
        sample(None, index=4, end=SampleEnd.ENGINE_ERROR, failure="the engine is down"),
    ]
    votes = sample_votes(samples[::-1], CONFIG)
    assert [vote.sample.index for vote in votes] == [0, 1, 2, 3, 4]
    assert [vote.weight for vote in votes] == [1, CONFIG.voting.forced_weight, 1, 1, None]
    assert [vote.answered for vote in votes] == [
        "by itself",
        "guessed: forced while unfinished",
        "forced after it had ended",
        "by itself, as its code printed",
        "no answer",
    ]
    assert [vote.tools for vote in votes] == ["none", "none", "none", "1", "none"]
    assert votes[4].ended == "engine error: the engine is down"


@example(ATTACK)
@example(f"```python\n{ATTACK}\n```\n```output\n{ATTACK}\n")
@given(st.text(max_size=200) | st.lists(st.sampled_from([ATTACK, "```python\n", "```\n", "$", "\n"])).map("".join))
@examples(100)
def test_nothing_that_a_model_writes_becomes_markup(text: str) -> None:
    outcome = solved(written(text, end=SampleEnd.ANSWERED), sample(None, index=1, failure=text))
    assert _Tags(outcome._repr_html_()).foreign == []


@pytest.mark.parametrize("macro", ["href", "class", "cssId", "style", "bbox", "mmlToken", "require"])
def test_a_formula_can_be_no_link_and_set_no_style(macro: str) -> None:
    html = solved(written(f"$\\{macro}{{javascript:alert(1)}}{{x}}$ and $\\frac12$"))._repr_html_()
    assert f"\\{macro}" not in html and "\\frac12" in html
    assert re.search(rf"\\.{macro}", html)


def test_a_table_has_missing_values_where_nothing_is_known() -> None:
    table = solutions_table([solved(sample(None)), solved(sample(42), truth=42)])
    assert table.answer.isna().tolist() == [True, False]
    assert table.right.isna().tolist() == [True, False]
    assert table.votes.tolist() == ["", "1/1"]
    assert str(table.answer.dtype) == "Int64"
