"""Convert text of a model or a problem to safe HTML, with formulas as MathML and highlighted code.

Formulas are converted by math-core: it makes native MathML, which browsers draw without a script or a font of ours, and
takes about 4 microseconds for a formula where latex2mathml takes 270, so that a run's can all be converted beforehand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

from markupsafe import Markup, escape
from math_core import LatexError, LatexToMathML
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from pygments.styles import get_style_by_name
from pygments.token import STANDARD_TYPES

LONGEST_FORMULA = 2_000  # characters; beyond that it is a mistake of the model's
LONGEST_BOX = 300  # for one outside a formula
LONGEST_CODE = 20_000  # characters that are highlighted
_MACROS = {
    "substack": r"\begin{matrix}#1\end{matrix}",
    "tag": r"\qquad\text{(#1)}",
    "mbox": r"\text{#1}",
    "pmb": r"\boldsymbol{#1}",
}
_EXPANSIONS = 100
_CONTROL = {code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"} | {0x7F: 0x2421}
_UNPRINTABLE = re.compile("[\ud800-\udfff\u202a-\u202e\u2066-\u2069\x80-\x9f\ufdd0-\ufdef\ufffe\uffff]")
_NEWLINES = re.compile(r"\r\n?")
_BLOCKS = ("code", "display")
_PYTHON = frozenset({"python", "python3", "py"})

_OPENING = re.compile(r"^[ \t]*(?P<fence>`{3,})[ \t]*(?P<language>[\w+-]*)[^\n`]*$|(?P<tick>`)(?=[^`\s])"
                      r"|(?<!\\)(?P<math>\$\$|\$(?=[^\s$])|\\\(|\\\[|\\boxed\{|\\begin\{(?P<name>[a-z]{1,12}\*?)\})",
                      re.MULTILINE)  # fmt: skip
_CLOSING = {"$$": "$$", r"\(": r"\)", r"\[": r"\]"}
_BRACE = re.compile(r"[{}\n]")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of text of one kind; `source` is the text as written, `body` is without the delimiters."""

    kind: Literal["text", "code", "tick", "inline", "display"]
    source: str
    body: str
    language: str = ""


def printable(text: str) -> str:
    """Return text that a page can display: control characters as control pictures, invalid ones as U+FFFD.

    Also replaced are bidirectional overrides, which could make text look like other text.
    """
    return _UNPRINTABLE.sub("\ufffd", _NEWLINES.sub("\n", text).translate(_CONTROL))


def to_html(text: str) -> Markup:
    """Return the text as HTML; line breaks are left to the style sheet (`white-space: pre-wrap`)."""
    return pieces_html(list(pieces(text)))


def pieces_html(found: Sequence[Piece]) -> Markup:
    """Return the pieces as HTML, without line breaks next to a block, which is on its own lines anyway."""
    parts = []
    for before, piece, after in zip([None, *found], found, [*found[1:], None], strict=False):
        if piece.kind == "text":
            body = piece.body.lstrip("\n") if before and before.kind in _BLOCKS else piece.body
            parts.append(escape(body.rstrip("\n") if after and after.kind in _BLOCKS else body))
        else:
            parts.append(piece_html(piece))
    return Markup("").join(parts)


def code_html(code: str, *, python: bool) -> Markup:
    """Return a code block as HTML."""
    code = printable(code).strip("\n")
    if not python or len(code) > LONGEST_CODE:
        return Markup('<pre class="code">{}</pre>').format(code)
    return Markup('<pre class="code">{}</pre>').format(Markup(_highlighted(code)))


def pieces(text: str) -> Iterator[Piece]:
    """Split the text at code and formulas; the sources of all pieces joined are the printable text.

    A dollar opens a formula only before a character that is no blank, and closes one only after such a character and
    not before a digit, so that prices are none. A formula holds no blank line. An open fence holds all that follows.
    """
    text = printable(text)
    start = place = 0
    while found := _OPENING.search(text, place):
        piece = _piece(text, found)
        if piece is None:
            place = found.end()
            continue
        if start < found.start():
            yield Piece("text", text[start : found.start()], text[start : found.start()])
        yield piece
        start = place = found.start() + len(piece.source)
    if start < len(text):
        yield Piece("text", text[start:], text[start:])


def piece_html(piece: Piece) -> Markup:
    """Return a piece as HTML; a formula that cannot be converted is shown as its source."""
    if piece.kind == "code":
        return code_html(piece.body, python=piece.language.lower() in _PYTHON)
    if piece.kind == "tick":
        return Markup("<code>{}</code>").format(piece.body)
    mathml = _mathml(piece.body, display=piece.kind == "display")
    if mathml is None:
        return Markup('<code class="broken" title="not a formula that can be drawn">{}</code>').format(piece.source)
    return Markup(mathml)  # escaped by math-core


def _piece(text: str, found: re.Match[str]) -> Piece | None:
    """Return the piece that begins at the match, None if it is not closed within the limit."""
    begin, inside = found.span()
    if found["fence"]:
        return _fenced(text, found)
    if found["tick"]:
        line = text[inside : inside + LONGEST_FORMULA].partition("\n")[0]
        body, closed, _ = line.partition("`")
        return Piece("tick", f"`{body}`", body) if closed else None
    mark = found["math"]
    reach = text[inside : inside + LONGEST_FORMULA]
    blank = _BLANK_LINE.search(reach)
    reach = reach[: blank.start()] if blank else reach
    if mark == "$":
        body = _until_dollar(reach)
    elif mark == r"\boxed{":
        body = _until_brace(reach)
    else:
        closing = _CLOSING.get(mark) or rf"\end{{{found['name']}}}"
        body, closed, _ = reach.partition(closing)
        if not closed or not body.strip():
            return None
        formula = mark + body + closing if found["name"] else body
        kind: Literal["inline", "display"] = "inline" if mark == r"\(" else "display"
        return Piece(kind, text[begin : inside + len(body) + len(closing)], formula)
    if not body:
        return None
    source = text[begin : inside + len(body) + 1]
    return Piece("inline", source, body if mark == "$" else source)


def _until_dollar(reach: str) -> str:
    place = 0
    while (place := reach.find("$", place)) >= 0:
        if reach[place - 1] not in " \t\n\\" and not reach[place + 1 : place + 2].isdigit():
            return reach[:place]
        if reach[place - 1] != "\\":
            return ""  # the price of the next thing
        place += 1
    return ""


def _until_brace(reach: str) -> str:
    depth = 1
    for found in _BRACE.finditer(reach, 0, LONGEST_BOX):
        depth += {"{": 1, "}": -1, "\n": -depth}[found[0]]
        if depth == 0:
            return reach[: found.start()] if found[0] == "}" else ""
    return ""


def _fenced(text: str, found: re.Match[str]) -> Piece:
    begin, inside = found.start(), min(found.end() + 1, len(text))
    closing = re.compile(rf"^[ \t]*{found['fence']}`*[ \t]*$\n?", re.MULTILINE).search(text, inside)
    if closing is None:
        return Piece("code", text[begin:], text[inside:], found["language"])
    return Piece("code", text[begin : closing.end()], text[inside : closing.start()], found["language"])


@cache
def _converter() -> LatexToMathML:
    return LatexToMathML(macros=_MACROS, max_expansions=_EXPANSIONS)


@lru_cache(maxsize=50_000)
def _mathml(latex: str, *, display: bool) -> str | None:
    try:
        return str(_converter().convert_with_local_state(latex, displaystyle=display))
    except LatexError:
        return None


@cache
def _formatter() -> HtmlFormatter[str]:
    return HtmlFormatter(nowrap=True)


@cache
def _lexer() -> PythonLexer:
    return PythonLexer(stripnl=False, ensurenl=False)


@lru_cache(maxsize=5_000)
def _highlighted(code: str) -> str:
    return highlight(code, _lexer(), _formatter())


def code_css() -> str:
    """The colours of code in light and dark."""
    light, dark = (get_style_by_name(name) for name in ("xcode", "github-dark"))
    rules = []
    for token, short in STANDARD_TYPES.items():
        first, second = light.style_for_token(token)["color"], dark.style_for_token(token)["color"]
        if short and first and second:
            rules.append(f".code .{short}{{color:light-dark(#{first},#{second})}}")
    return "\n".join(rules)
