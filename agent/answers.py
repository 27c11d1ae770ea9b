r"""The integer that a model's text gives as its answer: its last `\boxed{...}`, read by an edition's rule."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.latex.box_context import changed_outside, side_by_side
from agent.latex.integer import parse_integer
from agent.types import Edition

_LONGEST_PLACEHOLDER = 80

# A doubled backslash is a model's slip (text escaped twice), so it opens a box too; so do the characters that the \b of
# \boxed and the \f of \fbox become where a text was unescaped once too often.
_BOX = r"(?: \\{1,2} (?: boxed | fbox | framebox ) | \x08 oxed | \x0c (?: box | ramebox ) )"
_OTHER_COMMAND = r"\\(?! boxed | f(?:rame)?box ) [A-Za-z]+"
_BRACE = re.compile(
    rf"""
    {_BOX} \s* (?:
        (?: \\ (?: text | math ) [a-z]* \s* )? (?P<open> \{{ )
      | \\\{{ (?P<escaped> [^{{}}\\\n]{{0,200}} ) \\\}}
      | (?P<bare> [-+\u2212]? \d (?: [^\s{{}}$()\]*<>"'`|\\\x08\x0c] | \\[^A-Za-z\s] )*
                  (?= (?P<more> \s* (?: [-+/^!=_{{\d] | \*(?!\*) | {_OTHER_COMMAND} \s* \{{? ) )? )
                | (?<=[a-z]) {_OTHER_COMMAND} )
      | (?P<end> \Z )
    )
  | \\. | [{{}}]
    """,
    re.VERBOSE | re.DOTALL,
)

# What stands where an answer is to come.
_PLACEHOLDER = re.compile(
    r"""
    (?: \s | [$?.\u2026_*#~\[\]<>(){}&\u25a1\u25a0\u2610-] | \\[,;:! \\()\[\]{}_\n]
      | \\ (?: [lcv]?dots[bcmio]? | cdot | bullet | square | Box | blacksquare | q?quad | strut | text[a-z]* | boxed
            | math[a-z]* | fbox | framebox | displaystyle | left | right | big | large | underline ) (?![A-Za-z])
      | \\[hv]?phantom \s* \{ [^{}]* \} | \\hspace\*? \s* \{ [^{}]* \}
      | \b (?: the | your | my | our | final | correct | numerical | integer | answer | ans | result | value | number
             | solution | placeholder | blank | insert | put | here | goes ) \b
    )*+
    """,
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Box:
    """Where a box stands, and its content."""

    start: int
    opened: int
    closed: int
    end: int

    def content(self, text: str) -> str:
        return text[self.opened : self.closed]


def last_boxed(text: str) -> str | None:
    r"""What the last `\boxed{...}`, `\fbox{...}` or `\framebox{...}` holds; None where there is none.

    Braces nest and may be escaped; of nested boxes the outer one is the last. A number needs no braces: `\boxed73`. A
    box where an answer is yet to come (`\boxed{}`, `\boxed{...}`, `\boxed{\text{answer}}`) is no box.

    A box that is still open where the text ends was cut off, or its brace was forgotten: either way it withdraws all
    boxes that stand before it, since the text says something else last. Complete boxes after its opening count.
    """
    boxes = _boxes(text)
    return None if boxes is None else boxes[-1].content(text)


def extract_answer(text: str, edition: Edition) -> int | None:
    """The answer that a model's text gives: the integer in its last box, if the edition allows it.

    `Edition.reduce` says which. Prose outside a box is never an answer, but what stands directly beside the last box
    may make another number of its content, or a list: then there is none. None is no answer, and not 0.
    """
    boxes = _boxes(text)
    value = None if boxes is None else _value(text, *boxes)
    return None if value is None else edition.reduce(value)


def _value(text: str, previous: _Box | None, box: _Box) -> int | None:
    """The integer in the box; None where what stands beside it makes another number or a list of it."""
    value = parse_integer(box.content(text))
    if value is None or changed_outside(text, box.start, box.end):
        return None
    if previous is not None and side_by_side(text, previous.end, box.start):
        return value if parse_integer(previous.content(text)) == value else None
    return value


def _boxes(text: str) -> tuple[_Box | None, _Box] | None:
    """The last box with something in it, after the one that ends before it; None where there is none or it is open."""
    open_braces: list[tuple[int, int] | None] = []  # where a box and its content start, None for another brace
    previous = last = None
    for match in _BRACE.finditer(text):
        token = match.group()
        found = None
        if token == "}":
            opening = open_braces.pop() if open_braces else None
            found = None if opening is None else _Box(*opening, match.start(), match.end())
        elif match["open"] or match["end"] is not None:
            open_braces.append((match.start(), match.end()))
        elif token == "{":
            open_braces.append(None)
        elif match["escaped"] is not None:
            found = _Box(match.start(), *match.span("escaped"), match.end())
        elif match["bare"]:
            found = _bare(match)
        if found is not None and not _is_placeholder(text, found.opened, found.closed):
            if last is not None and last.end <= found.start:
                previous = last
            last = found
    if last is None or any(opening is not None and opening[1] > last.opened for opening in open_braces):
        return None
    return (previous if previous is not None and previous.end <= last.start else None), last


def _bare(match: re.Match[str]) -> _Box:
    """The number without braces, with what follows if that belongs to it."""
    start = match.start("bare")
    end = match.end("more") if match["more"] else start + len(match["bare"].rstrip(".,;:"))
    return _Box(match.start(), start, end, end)


def _is_placeholder(text: str, start: int, end: int) -> bool:
    return end - start <= _LONGEST_PLACEHOLDER and _PLACEHOLDER.fullmatch(text, start, end) is not None
