"""What the demo's page draws: markup of ours only, whatever models and visitors write."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.chat.dialects import chat_format
from agent.chat.family import family_names
from agent.events import HealthChecked, ProblemSolved, ProblemStarted, SampleEnded, TextGenerated
from agent.policy.voting import tally
from agent.types import Problem, Sample, SampleEnd, StopReason, ToolRun, ToolStatus, Turn
from tests.support.doubles import config_with
from tests.support.samples import sample, solution
from tests.support.tiers.cases import examples
from tools.demo.state import Phase, Question
from tools.demo.transcript import markdown_html, transcript_html
from tools.demo.view import (
    WHY,
    answer_html,
    heading_html,
    lanes_html,
    preview_html,
    sentence_html,
    status_html,
)

OURS = {"a", "article", "code", "details", "div", "header", "input", "label", "p", "pre", "section", "span", "strong"}
OURS |= {"h1", "summary", "table", "tbody", "td", "th", "thead", "tr"}
HARMLESS = {
    "aria-hidden",
    "aria-label",
    "aria-live",
    "class",
    "data-label",
    "data-phase",
    "download",
    "for",
    "href",
    "id",
    "open",
}
HARMLESS |= {"role", "style", "title", "type"}
HARMLESS_STYLE = re.compile(r"width:[\d.]+%|color:#[0-9A-F]{6};|margin-left:-?[\d.]+em;")
ATTACKS = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "$\\text{<img src=x onerror=alert(1)>}$",
    "$\\href{javascript:alert(1)}{x}$",
    "$\\unicode{x3c}script>$",
    "![x](http://example.org/x.png)",
    "```python\nprint('</code></pre><script>alert(1)</script>')\n```",
    "```output\n</pre><svg onload=alert(1)>\n```",
    "**<b onclick=alert(1)>**",
    "</div></article><style>*{display:none}</style>",
    "</think><iframe src=//example.org>",
    "${alert(1)} {{value}} `${alert(1)}`",
    "&lt;script&gt; &#60;script&#62;",
)
TEXTS = st.lists(
    st.one_of(
        st.sampled_from([*ATTACKS, "```python\n", "```output\n", "\n```\n", "$", "$$", "\\[", "\\boxed{", "}", "\n# "]),
        st.text(max_size=12),
    ),
    max_size=12,
).map("".join)


class _Checker(HTMLParser):
    """Keeps what a page could be harmed by, and the text that is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.foreign: list[str] = []
        self.shown = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attrs}
        if tag in OURS:
            self.foreign += [f"{tag} {name}" for name in names - HARMLESS]
        elif not re.fullmatch("math|m[a-z]+", tag) or any(n.startswith("on") or n in ("href", "src") for n in names):
            self.foreign.append(f"{tag} {names}")
        links = [value or "" for name, value in attrs if name == "href"]
        self.foreign += [link for link in links if not link.startswith("/journal/question-")]
        styles = [value or "" for name, value in attrs if name == "style"]
        self.foreign += [style for style in styles if not HARMLESS_STYLE.fullmatch(style)]

    def handle_data(self, data: str) -> None:
        self.shown += data


PREVIEW = chat_format("qwq-preview", tools=True)


def checked(html: str) -> str:
    """The text that the HTML shows; fails where anything in it is not ours."""
    checker = _Checker()
    checker.feed(html)
    checker.close()
    assert not checker.foreign
    return checker.shown


def question(text: str = "What is $6 \\times 7$?", lanes: int = 3, **keys: object) -> Question:
    asked = Question(Problem("question-1", text), config_with(**keys), lambda: 10.0)
    asked(ProblemStarted(asked.problem, "", 60.0, lanes))
    return asked


def closed(asked: Question, *samples: Sample, stop: StopReason = StopReason.ALL_DONE) -> Question:
    for ended in samples:
        asked(TextGenerated("question-1", ended.index, ended.text, 0))
        asked(SampleEnded(ended))
    votes = tally(samples, asked.config.voting, asked.config.rules)
    answer = votes.leader.answer if votes.leader else None
    asked(ProblemSolved(solution("question-1", answer=answer, tally=votes, stop=stop)))
    return asked


def written(text: str, index: int = 0, *, tokens: int = 10, forced: bool = False) -> Sample:
    return replace(sample(42, index=index, forced=forced), turns=(Turn(text, tokens, 1.0),))


@example(r"$\!x$")  # a negative space is an inline style
@given(TEXTS)
@examples(150)
def test_nothing_that_a_model_writes_becomes_markup(text: str) -> None:
    checked(markdown_html(text))
    for family in family_names():
        checked(transcript_html(text, chat_format(family, tools=True)))
    asked = question(lanes=1)
    asked(TextGenerated("question-1", 0, text, 0))
    checked(lanes_html(asked) + status_html(asked))
    checked(answer_html(closed(asked, written(text))) + lanes_html(asked))


@given(TEXTS)
@examples(60)
def test_nothing_that_a_visitor_or_the_engine_tells_becomes_markup(text: str) -> None:
    asked = question(text)
    asked.engine_event = text
    checked(status_html(asked) + sentence_html(text) + preview_html(text))
    asked.failure = text or "x"
    assert text.split() == checked(sentence_html(text)).split() or "\x00" in text or "\r" in text
    checked(answer_html(asked))


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_shown_as_written(attack: str) -> None:
    word = re.search(r"alert\(1\)|example\.org|script|display:none", attack)
    assert word
    assert word[0] in checked(transcript_html(attack, PREVIEW))


def test_the_heading_says_how_the_model_was_checked_and_what_was_changed() -> None:
    config = config_with(sample__count=3)
    assert "checked" not in checked(heading_html(config, "qwq", None))
    outcome = HealthChecked(1, 2, 41.2, changed={"vllm.extra_args": [ATTACKS[0]]})
    shown = checked(heading_html(config, ATTACKS[1], outcome))
    assert "model checked: 1 of 2 easy problems right, 41 s; set for its sake: vllm.extra_args" in shown
    assert ATTACKS[0] in shown and ATTACKS[1] in shown


def test_a_lane_goes_through_its_phases() -> None:
    asked = question(lanes=1, sample__family="qwen-coder")
    lane = asked.lanes[0]
    assert lane.phase is Phase.WAITING
    steps: list[tuple[Callable[[], None], Phase]] = [
        (lambda: lane.write("print(6 * 7)\n"), Phase.THINKING),
        (lambda: lane.write("```"), Phase.RUNNING_CODE),
        (lambda: lane.write("\n```output\n42\n```\n", "result"), Phase.WAITING),
        (lambda: lane.write(""), Phase.THINKING),
        (lambda: lane.write("It is \\boxed{42}"), Phase.THINKING),
        (lambda: lane.write("\n\n**Final Answer**\n\n\\boxed{", "forcing"), Phase.FORCING),
        (lambda: lane.end(sample(42, forced=True)), Phase.FORCED),
    ]
    for step, phase in steps:
        step()
        assert lane.phase is phase
    assert lane.text.startswith("```python\nprint(6 * 7)\n```\n```output\n42\n```\nIt is")


def test_what_a_running_lane_has_boxed_is_shown_as_its_answer() -> None:
    asked = question(lanes=1)
    asked(TextGenerated("question-1", 0, "First \\boxed{7}, no: \\boxed{42}", 0))
    assert asked.lanes[0].answer(asked.config.rules) == 42
    assert ">42</span>" in lanes_html(asked)


@pytest.mark.parametrize(
    ("end", "phase"),
    [
        (SampleEnd.CANCELLED, Phase.CANCELLED),
        (SampleEnd.ENGINE_ERROR, Phase.FAILED),
        (SampleEnd.FAILED_CODE, Phase.CODE_FAILED),
        (SampleEnd.NO_ANSWER, Phase.NO_ANSWER),
        (SampleEnd.TOKEN_LIMIT, Phase.NO_ANSWER),
    ],
)
def test_a_lane_without_an_answer_says_why(end: SampleEnd, phase: Phase) -> None:
    asked = question(lanes=1)
    asked(SampleEnded(sample(None, end=end)))
    assert f'data-phase="{phase}"' in lanes_html(asked)


def test_the_votes_are_drawn_with_the_leader_first() -> None:
    asked = question("Why?", lanes=4)
    for index, (answer, forced) in enumerate([(7, True), (42, False), (42, True)]):
        asked(SampleEnded(sample(answer, index=index, forced=forced)))
    html = status_html(asked)
    assert html.index(">42<") < html.index(">7<")
    assert html.count("leader") == 1
    assert "2 votes · weight 1.5 · 1 guessed" in checked(html)
    assert "width:37.5%" in html


def test_a_tie_and_guesses_are_shown_as_doubtful_with_the_reason() -> None:
    sure = answer_html(closed(question(), sample(42), sample(42, index=1), sample(7, index=2)))
    assert 'class="answer settled"' in sure and "42 has 2 of 3 votes" in checked(sure)
    tied = answer_html(closed(question(), sample(42), sample(7, index=1)))
    guessed = answer_html(closed(question(), sample(42, forced=True, end=SampleEnd.DEADLINE)))
    for html, reason in ((tied, "tie at a weight of 1"), (guessed, "was a guess")):
        assert 'class="answer doubtful"' in html
        assert "Doubtful answer" in checked(html) and reason in checked(html)
    assert 'class="answer none"' in answer_html(closed(question(), sample(None)))


def test_what_each_lane_voted_and_why_is_listed_with_the_answers_lanes_first() -> None:
    lost = sample(None, index=1, end=SampleEnd.ENGINE_ERROR, failure="the engine is down")
    guess = sample(7, index=0, forced=True, end=SampleEnd.DEADLINE)
    html = answer_html(closed(question(), guess, lost, replace(written("x", 2), turns=(_with_output(),))))
    rows = [checked(row) for row in re.findall(r"<tr>(<td.*?)</tr>", html)]
    assert rows == [
        "3421by itself, as its code printed120answered",
        "170.5guessed: forced while unfinishednone10deadline",
        "2noneno answernone10engine error: the engine is down",
    ]


def test_a_problem_is_previewed_where_it_holds_more_than_plain_text() -> None:
    assert preview_html("How many primes are below 100?") == preview_html("") == preview_html("It costs $5.") == ""
    html = preview_html("What is $x^2$ and $\\frac{$?")
    assert html.count("<math") == 1
    assert "\\frac{" in checked(html)


def test_the_evidence_is_the_shortest_sample_that_was_not_forced() -> None:
    samples = [
        written("forced and short", 0, tokens=1, forced=True),
        written("long", 1, tokens=90),
        replace(written("```python\nprint(42)\n```", 2), turns=(_with_output(),)),
    ]
    html = answer_html(closed(question(), *samples))
    assert "Evidence: lane 3" in html
    assert '<pre class="output"' in html
    assert 'href="/journal/question-1"' in html


def _with_output() -> Turn:
    run = ToolRun("print(42)\n", "42", ToolStatus.OK, 0.1)
    return Turn("```python\nprint(42)\n```", 20, 1.0, inserted="\n```output\n42\n```\n", tool_run=run)


@pytest.mark.parametrize("stop", StopReason)
def test_each_way_to_close_a_question_is_reported(stop: StopReason) -> None:
    shown = checked(answer_html(closed(question(), sample(None), stop=stop)))
    assert WHY[stop] in shown
    assert "no answer" in shown


def test_a_question_in_the_line_shows_its_place() -> None:
    asked = Question(Problem("question-1", "Why?"), config_with(), lambda: 0.0, place=2)
    assert "number 3 in the queue: 2 questions" in checked(status_html(asked))
    assert lanes_html(asked) == answer_html(asked) == ""
