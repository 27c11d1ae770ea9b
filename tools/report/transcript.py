"""Render a sample's transcript as HTML, with each tool output next to its code."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Iterator
from dataclasses import replace

from markupsafe import Markup

from agent.chat.dialects import chat_format
from agent.chat.format import ChatFormat, turn_start
from agent.config import Config
from agent.types import Sample, ToolRun, Turn
from tools.shared.markup import Piece, code_html, pieces, pieces_html, printable, to_html

_LEVEL = 6  # zlib's; beyond it a run of 800 long samples takes longer and gets hardly smaller


def transcript(sample: Sample, config: Config) -> Markup:
    """Return everything that the model generated and the agent inserted."""
    chat = chat_format(config.sample.family, tools=config.sample.tools)
    parts = []
    for number, turn in enumerate(sample.turns, 1):
        last = number == len(sample.turns)
        label = "forced answer" if last and sample.forced else f"turn {number}"
        before = turn_start(chat, sample.turns[: number - 1])
        parts.append(Markup("").join(_turn(turn, label, before, chat)))
    return Markup("").join(parts) or Markup("<p>Nothing was written.</p>")


def packed(html: str) -> Markup:
    """Compress HTML with gzip to base64, which cannot contain the end tag of a script element."""
    return Markup(base64.b64encode(gzip.compress(html.encode(), _LEVEL, mtime=0)).decode())


def _turn(turn: Turn, label: str, before: str, chat: ChatFormat) -> Iterator[Markup]:
    yield Markup('<h5>{} <span class="faint">{:,} tokens · {:,.1f} s{}</span></h5>').format(
        label, turn.tokens, turn.seconds, " · opened code that was not run" if turn.unrun_blocks else ""
    )
    written = list(pieces(chat.shown(before + turn.text)))
    inserted = turn.inserted
    if turn.tool_run is not None:
        inserted = chat.behind_result(inserted)  # the output is shown with its code
        written = list(_without_code(written, turn.tool_run))
    if written:
        yield Markup('<div class="said">{}</div>').format(pieces_html(written))
    if turn.tool_run is not None:
        yield _tool(turn.tool_run)
    elif turn.hint_at and chat.hint:
        inserted = inserted.removesuffix(chat.hint.call_open)  # the code stands in the next turn
    inserted = chat.shown(inserted)
    if inserted.strip():
        yield Markup('<div class="forced"><span class="faint">the agent wrote</span> {}</div>').format(
            to_html(inserted.strip("\n"))
        )


def _without_code(written: list[Piece], run: ToolRun) -> Iterator[Piece]:
    """The pieces but for the code that was run, if it ends the last one: it is shown with its output."""
    *before, last = written or [Piece("text", "", "")]
    yield from before
    code, ran = last.body.rstrip(), printable(run.code).rstrip()
    if last.kind != "code" or not code.endswith(ran):
        yield last
    elif kept := code.removesuffix(ran).rstrip():
        yield replace(last, body=kept)


def _tool(run: ToolRun) -> Markup:
    output = printable(run.output).rstrip("\n") or "(no output)"
    return Markup(
        '<div class="tool"><div>{}</div><div class="output {}"><span class="faint">output · {} · {:,.2f} s</span>'
        "<pre>{}</pre></div></div>"
    ).format(code_html(run.code, python=True), run.status, run.status, run.seconds, output)
