"""A question's state -> the HTML of the page. Pure; all text from models and visitors is escaped."""

from __future__ import annotations

from collections import Counter
from html import escape

from agent.chat.format import ChatFormat
from agent.chat.task import answer_rule
from agent.config import Config
from agent.events import HealthChecked
from agent.types import Sample, Solution, StopReason, Vote
from agent.views.sample_votes import sample_votes
from agent.views.table import code_facts
from agent.views.verdict import guesses, is_doubtful, weight_text, why_won
from tools.demo.state import LaneState, Phase, Question
from tools.demo.transcript import end_of, markdown_html, transcript_html
from tools.shared.markup import pieces

LIVE_CHARS = 1_600  # shown of a running lane's text, from its end
CLOSED_CHARS = 20_000  # shown of a lane's text once the question is closed
MOST_BARS = 6
_LANE_COLUMNS = ("lane", "answer", "weight", "how", "tool runs", "tokens", "ended")

WHY = {
    StopReason.UNCATCHABLE: "no other answer could have caught up",
    StopReason.MARGIN: "the lead was large enough",
    StopReason.AGREED: "the votes agreed",
    StopReason.PATIENCE: "more votes were not worth the wait",
    StopReason.SHARE: "its share of the time was spent",
    StopReason.SCATTERED: "the votes agreed on nothing",
    StopReason.ALL_DONE: "all lanes had ended",
    StopReason.DEADLINE: "the time was spent",
    StopReason.REQUESTED: "the answer was requested",
    StopReason.OUT_OF_TIME: "there was no time",
    StopReason.COST_LIMIT: "the money was spent",
    StopReason.ENGINE_ERROR: "the engine failed",
}


def heading_html(config: Config, model: str, checked: HealthChecked | None) -> str:
    """Return the heading of the page, with what answers: the model's name, its lanes, and how it was checked."""
    seconds = f"up to {config.time_limit_seconds:,.0f} s a question, one at a time"
    facts = [f"{model} · {config.sample.count} lanes · {seconds}", *([checked.text] if checked else [])]
    figures = "".join(f'<p class="figures">{escape(fact)}</p>' for fact in facts)
    return (
        '<header class="heading"><h1>AIMO agent</h1><p>Many solutions of one problem are written side by side, each '
        f"may run Python, and they vote. {escape(answer_rule(config.rules))}</p>"
        f"{figures}</header>"
    )


def sentence_html(text: str) -> str:
    """Return a message for the visitor in place of an answer."""
    return f'<p class="sentence" role="alert">{escape(text)}</p>'


def answer_html(question: Question) -> str:
    """Return the answer with its evidence and its cost, "" while there is none."""
    if question.failure:
        return sentence_html(question.failure)
    solution = question.solution
    if solution is None:
        return ""
    facts = [
        _count(solution.samples_started, "lane"),
        f"closed because {WHY[solution.stop]}",
        f"{solution.seconds:,.0f} s",
        _count(solution.tokens, "token"),
        _count(solution.tool_runs, "tool run"),
        *(code_facts(*question.code_use) if solution.tool_runs else ()),
    ]
    number = question.problem.id
    answer = "no answer" if solution.answer is None else str(solution.answer)
    kind, label = _verdict(question, solution)
    return (
        f'<section class="answer {kind}" aria-live="polite"><p class="label">{label}</p><p class="big">{answer}</p>'
        f'<p class="why">{escape(why_won(solution, question.samples))}</p>'
        f"<p>{escape(' · '.join(facts))}</p>{_engine_event(question)}"
        f'<p><a class="download" href="/journal/{number}" download="{number}.jsonl">Download the journal</a></p>'
        f"{_evidence_html(question.evidence, question.chat)}{_lane_votes_html(question)}</section>"
    )


def _verdict(question: Question, solution: Solution) -> tuple[str, str]:
    """Return how sure the answer is, as a class of the style sheet and as its label."""
    if solution.answer is None:
        return "none", "Answer"
    if is_doubtful(solution, question.samples):
        return "doubtful", "Doubtful answer"
    return "settled", "Answer"


def _lane_votes_html(question: Question) -> str:
    """Return what each lane voted and why, the answer's lanes first."""
    votes = sample_votes(question.samples, question.config)
    if not votes:
        return ""
    ranks = {vote.answer: rank for rank, vote in enumerate(question.tally.votes)}
    votes.sort(key=lambda vote: len(ranks) if vote.sample.answer is None else ranks[vote.sample.answer])
    rows = [
        (
            str(vote.sample.index + 1),
            "none" if vote.sample.answer is None else str(vote.sample.answer),
            "" if vote.weight is None else weight_text(vote.weight),
            *(vote.answered, vote.tools, f"{vote.sample.tokens:,}", vote.ended),
        )
        for vote in votes
    ]
    head = "".join(f"<th>{name}</th>" for name in _LANE_COLUMNS)
    body = "".join("<tr>" + "".join(map(_cell, _LANE_COLUMNS, row)) + "</tr>" for row in rows)
    return (
        '<details class="lane-votes"><summary>What each lane voted, and why</summary>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></details>"
    )


def _cell(name: str, text: str) -> str:
    return f'<td data-label="{name}">{escape(text)}</td>' if text else f'<td class="empty" data-label="{name}"></td>'


def _evidence_html(sample: Sample | None, chat: ChatFormat) -> str:
    if sample is None:
        return ""
    title = f"Evidence: lane {sample.index + 1}, the shortest of those that agree ({_count(sample.tokens, 'token')})"
    return (
        f'<details class="evidence" open><summary>{title}</summary>'
        f'<div class="transcript">{transcript_html(chat.opening + sample.text, chat)}</div></details>'
    )


def preview_html(text: str) -> str:
    """Return a problem as it will be read, "" where it has nothing but text that is seen as it is typed."""
    if all(piece.kind == "text" for piece in pieces(text)):
        return ""
    return f'<section class="preview" aria-label="preview"><div class="problem">{markdown_html(text)}</div></section>'


def status_html(question: Question) -> str:
    """Return the question with its time, tokens and votes so far, or with its place in the queue."""
    text = f'<div class="problem">{markdown_html(question.problem.text)}</div>'
    if question.begun is None:
        return f'<section class="status">{text}{_waiting(question) if question.open else ""}</section>'
    used = min(1.0, question.seconds / max(question.allowance, 1e-9))
    return (
        f'<section class="status">{text}'
        f'<div class="meter"><span class="label">time</span>{_bar(used, "time")}'
        f"<span>{question.seconds:,.0f} / {question.allowance:,.0f} s</span></div>"
        f"{_votes_html(question)}"
        f'<p class="figures">{escape(_figures(question))}</p>'
        f"{_engine_event(question) if question.open else ''}</section>"
    )


def _waiting(question: Question) -> str:
    before = question.place
    if before == 0:
        return '<p class="waiting" role="status">The engine is being started …</p>'
    questions = "1 question is" if before == 1 else f"{before} questions are"
    return (
        f'<p class="waiting" role="status">You are number {before + 1} in the queue: {questions} answered before '
        "yours.</p>"
    )


def _votes_html(question: Question) -> str:
    votes = question.tally.votes
    lanes = max(1, len(question.lanes))
    rows = [
        f'<div class="meter vote{" leader" if rank == 0 else ""}"><span class="label">{vote.answer}</span>'
        f"{_bar(min(1.0, vote.weight / lanes), 'votes')}<span>{_votes_figure(vote, question)}</span></div>"
        for rank, vote in enumerate(votes[:MOST_BARS])
    ]
    if not rows:
        rows = ['<div class="meter vote"><span class="label">votes</span><span class="none">none yet</span></div>']
    more = len(votes) - MOST_BARS
    rest = f'<p class="figures">and {more} other answers</p>' if more > 0 else ""
    return f'<div class="votes" role="group" aria-label="votes">{"".join(rows)}{rest}</div>'


def _figures(question: Question) -> str:
    phases = Counter(lane.phase for lane in question.lanes)
    states = [f"{phases[phase]} {phase}" for phase in Phase if phases[phase]]
    return " · ".join([_count(question.tokens, "token"), f"{question.tokens_per_second:,.0f} tokens/s", *states])


def lanes_html(question: Question) -> str:
    """Return a card for each lane."""
    most = LIVE_CHARS if question.open else CLOSED_CHARS
    cards = [_card(number, lane, question, most) for number, lane in enumerate(question.lanes, 1)]
    return f'<div class="lanes">{"".join(cards)}</div>' if cards else ""


def _card(number: int, lane: LaneState, question: Question, most: int) -> str:
    answer = lane.answer(question.config.rules)
    written = transcript_html(end_of(lane.text, most), question.chat)
    shown = "" if answer is None else f'<span class="vote" title="its answer">{answer}</span>'
    # The box keeps its state while the text around it is replaced, and needs no script.
    fold = (
        f'<input type="checkbox" class="fold" id="fold-{number}" aria-label="show more of lane {number}">'
        f'<label for="fold-{number}" aria-hidden="true"></label>'
    )
    return (
        f'<article class="lane" data-phase="{lane.phase}" aria-label="lane {number}">'
        f'<header><span class="number">{number}</span><span class="phase">{lane.phase}</span>{shown}'
        f'<span class="tokens">{_count(lane.tokens, "token")}</span></header>{fold}'
        f'<div class="text"><div class="transcript">{written}</div></div></article>'
    )


def _bar(share: float, kind: str) -> str:
    return f'<span class="bar {kind}"><span style="width:{100 * share:.1f}%"></span></span>'


def _votes_figure(vote: Vote, question: Question) -> str:
    guessed = guesses(question.samples, vote.answer)
    parts = [
        _count(vote.samples, "vote"),
        *([f"weight {weight_text(vote.weight)}"] if vote.weight != vote.samples else []),
        *([f"{guessed} guessed"] if guessed else []),
    ]
    return " · ".join(parts)


def _count(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number:,} {noun}s"


def _engine_event(question: Question) -> str:
    return f'<p class="notice" role="status">{escape(question.engine_event)}</p>' if question.engine_event else ""
