"""A lane's text -> HTML for the page: prose with formulas, code blocks and their outputs, all of it escaped."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from agent.chat.format import ChatFormat
from tools.shared.markup import Piece, piece_html, pieces, printable

_FENCE = re.compile(r"^[ \t]*```[ \t]*([\w+-]*)[^\n`]*\n", re.MULTILINE)
_BOLD = re.compile(r"\*\*([^*\n]{1,400})\*\*|^#{1,6} +([^\n]+)", re.MULTILINE)
_EMPTY_LINES = re.compile(r"\n{3,}")
_BLOCKS = ("code", "display")
_RESULT = '<pre class="output" aria-label="output">{}</pre>'
_AGENT = '<span class="agent" title="the agent wrote this">{}</span>'
_END_OF_THINKING = Markup('<span class="think">end of the thinking</span>')


def transcript_html(turn: str, chat: ChatFormat) -> Markup:
    """Return a lane's turn, or the end of it, as HTML; line breaks are left to the style sheet (`pre-wrap`)."""
    shown: list[Markup] = []
    thinking = False
    for passage in chat.passages(turn):
        if passage.kind == "answer" and thinking:
            shown.append(_END_OF_THINKING)
        thinking = passage.kind == "thinking" or (thinking and passage.kind != "answer")
        if passage.kind == "result":
            shown.append(Markup(_RESULT).format(printable(passage.text).strip("\n")))
        elif passage.kind == "agent":
            shown.append(Markup(_AGENT).format(passage.text.strip()))
        else:
            shown.append(markdown_html(passage.text))
    return Markup("").join(shown)


def markdown_html(text: str) -> Markup:
    """Return prose with formulas and code as HTML; line breaks are left to the style sheet."""
    found = [piece for piece in pieces(text) if piece.kind != "text" or piece.body.strip()]
    kinds = ["code", *(piece.kind for piece in found), "code"]
    around = zip(kinds, found, kinds[2:], strict=False)
    return Markup("").join(_piece_html(piece, before, behind) for before, piece, behind in around)


def end_of(text: str, most_chars: int) -> str:
    """Return the last lines of the text, at most `most_chars` characters; a code block that is cut is reopened."""
    if len(text) <= most_chars:
        return text
    cut = len(text) - most_chars
    line = text.find("\n", cut) + 1
    cut = line if 0 < line < len(text) else cut
    opened = ""
    for fence in _FENCE.finditer(text, 0, cut):
        opened = fence[0] if not opened else opened if fence[1] else ""
    return opened + text[cut:]


def _piece_html(piece: Piece, before: str, behind: str) -> Markup:
    """Return one piece as HTML; empty lines of text next to a block are dropped."""
    if piece.kind == "text":
        body = piece.body.lstrip("\n") if before in _BLOCKS else piece.body
        body = body.rstrip("\n") if behind in _BLOCKS else body
        return Markup(_BOLD.sub(r"<strong>\1\2</strong>", str(escape(_EMPTY_LINES.sub("\n\n", body)))))
    return piece_html(piece)
