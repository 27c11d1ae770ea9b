"""A lane's text -> HTML for the page: prose with formulas, code blocks and their outputs, all of it escaped."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

from tools.shared.markup import Piece, piece_html, pieces, printable

_FENCE = re.compile(r"^[ \t]*```[ \t]*([\w+-]*)[^\n`]*\n", re.MULTILINE)
_BOLD = re.compile(r"\*\*([^*\n]{1,400})\*\*|^#{1,6} +([^\n]+)", re.MULTILINE)
_EMPTY_LINES = re.compile(r"\n{3,}")
_BLOCKS = ("code", "display")
_THINKING = re.compile(r"&lt;(/?)think&gt;\n?")
_END_OF_THINKING = '<span class="think">end of the thinking</span>'


def transcript_html(text: str) -> Markup:
    """Return the text as HTML; line breaks are left to the style sheet (`white-space: pre-wrap`)."""
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
    if piece.kind == "code" and piece.language == "output":
        return Markup('<pre class="output" aria-label="output">{}</pre>').format(printable(piece.body).strip("\n"))
    if piece.kind == "text":
        body = piece.body.lstrip("\n") if before in _BLOCKS else piece.body
        body = body.rstrip("\n") if behind in _BLOCKS else body
        text = _BOLD.sub(r"<strong>\1\2</strong>", str(escape(_EMPTY_LINES.sub("\n\n", body))))
        return Markup(_THINKING.sub(lambda tag: _END_OF_THINKING if tag[1] else "", text))
    return piece_html(piece)
