"""A solution -> HTML for a notebook, which brings the style and draws formulas. All that a model wrote is escaped."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape

from agent.chat.dialects import chat_format
from agent.config import Config
from agent.cost.money import cost_text
from agent.metrics import is_right
from agent.types import Problem, Sample, Solution
from agent.views.sample_votes import sample_votes, shortest_backer
from agent.views.verdict import STOP_MEANINGS, guesses, is_doubtful, weight_text, why_won

_MOST_CHARS = 20_000  # the end of a sample's text that is shown
_FENCED = re.compile(r"^[ \t]*```[^\n`]*\n(.*?)(?:^[ \t]*```[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
# Macros with which a formula could become a link, or cover the page, where a notebook draws it.
_RISKY_MACRO = re.compile(r"\\(?=(?:href|url|class|cssId|style|bbox|mmlToken|data|require|csname)\b)")
_BOX = "border:1px solid #8886; border-left:5px solid {}; border-radius:6px; padding:0.5em 0.9em; max-width:60em"
_GOOD, _DOUBTFUL, _NONE = "#2a8a55", "#c77700", "#888"
_PRE = "white-space:pre-wrap; overflow-wrap:anywhere; margin:0.3em 0; padding:0.4em 0.7em; border-left:3px solid {}"
_PROSE = "white-space:pre-wrap; overflow-wrap:anywhere"
_CODE, _RESULT = "#8886", "#4a7fd4"


def solution_html(solution: Solution, problem: Problem, samples: Sequence[Sample], config: Config) -> str:
    """The answer with its votes, why it won, its shortest agreeing sample, and each sample's vote."""
    doubtful = is_doubtful(solution, samples)
    colour = _NONE if solution.answer is None else _DOUBTFUL if doubtful else _GOOD
    return (
        f'<div class="aimo-solution" style="{_BOX.format(colour)}">{_answer(solution, problem, doubtful=doubtful)}'
        f"<p>{escape(why_won(solution, samples))}</p>{_votes(solution, samples)}<p>{_cost(solution, samples)}</p>"
        f"{_evidence(shortest_backer(samples, solution.answer), config)}{_every_sample(samples, config)}</div>"
    )


def _answer(solution: Solution, problem: Problem, *, doubtful: bool) -> str:
    if solution.answer is None:
        shown, size = "no answer", "1.2em"
    else:
        shown, size = str(solution.answer), "1.2em" if doubtful else "2em"
    right = is_right(solution.answer, problem.answer)
    mark = "" if right is None else " · right" if right else f" · wrong, the answer is {problem.answer}"
    label = f"{escape(problem.id)}{' · doubtful' if doubtful else ''}{mark}"
    return f'<div>{label}</div><div style="font-size:{size}; font-weight:bold; overflow-wrap:anywhere">{shown}</div>'


def _votes(solution: Solution, samples: Sequence[Sample]) -> str:
    rows = [
        (str(vote.answer), str(vote.samples), weight_text(vote.weight), str(guesses(samples, vote.answer) or ""))
        for vote in solution.tally.votes
    ]
    return _table(("answer", "votes", "weight", "guessed"), rows) if rows else ""


def _cost(solution: Solution, samples: Sequence[Sample]) -> str:
    cost = cost_text(samples)
    facts = [
        f"closed because {STOP_MEANINGS[solution.stop]}",
        f"{solution.seconds:,.0f} of {solution.allowance:,.0f} s",
        f"{solution.tokens:,} tokens",
        f"{solution.tool_runs:,} tool runs",
        *([f"cost {cost}"] if cost else []),
        *([f"the engine failed: {solution.failure}"] if solution.failure else []),
    ]
    return escape(" · ".join(facts))


def _evidence(sample: Sample | None, config: Config) -> str:
    if sample is None:
        return ""
    title = f"the shortest sample that agrees: number {sample.index + 1}, {sample.tokens:,} tokens"
    return f"<details open><summary>{title}</summary>{_transcript(sample, config)}</details>"


def _every_sample(samples: Sequence[Sample], config: Config) -> str:
    if not samples:
        return ""
    rows = [
        (
            str(vote.sample.index + 1),
            "" if vote.sample.answer is None else str(vote.sample.answer),
            "" if vote.weight is None else weight_text(vote.weight),
            *(vote.answered, vote.tools, f"{vote.sample.tokens:,}", vote.ended),
        )
        for vote in sample_votes(samples, config)
    ]
    headings = ("sample", "answer", "weight", "how", "tool runs", "tokens", "ended")
    return f"<details><summary>what each sample voted</summary>{_table(headings, rows)}</details>"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(each)}</th>" for each in headings)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div style="overflow-x:auto"><table><tr>{head}</tr>{body}</table></div>'


def _transcript(sample: Sample, config: Config) -> str:
    """The end of what the sample wrote: prose, in which a notebook draws formulas, code, and what the code printed."""
    chat = chat_format(config.sample.family, tools=config.sample.tools)
    text = chat.opening + sample.text
    cut = len(text) - _MOST_CHARS
    shown = [f"<p>{cut:,} characters before are left out.</p>" if cut > 0 else ""]
    for passage in chat.passages(text[max(0, cut) :]):
        if passage.kind == "result":
            shown.append(_block(passage.text, _RESULT))
        elif passage.kind == "agent":
            shown.append(f"<div><i>{_inert(passage.text.strip())}</i></div>")
        else:
            shown.append(_markdown(passage.text))
    return "".join(shown)


def _markdown(text: str) -> str:
    shown, place = [], 0
    for fence in _FENCED.finditer(text):
        shown += [_prose(text[place : fence.start()]), _block(fence[1], _CODE)]
        place = fence.end()
    return "".join([*shown, _prose(text[place:])])


def _prose(text: str) -> str:
    return f'<div style="{_PROSE}">{_inert(text.strip())}</div>' if text.strip() else ""


def _block(text: str, colour: str) -> str:
    return f'<pre style="{_PRE.format(colour)}">{escape(text.strip(chr(10)))}</pre>'


def _inert(text: str) -> str:
    """The text as HTML whose formulas can do nothing but be drawn: an invisible character breaks the other macros."""
    return escape(_RISKY_MACRO.sub("\\\\\u200b", text))
