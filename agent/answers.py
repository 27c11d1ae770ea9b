r"""The integer that a model's text gives as its answer: its last `\boxed{...}`, read by an edition's rule."""

from __future__ import annotations

import re

from agent.latex_integer import parse_integer
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


def last_boxed(text: str) -> str | None:
    r"""What the last `\boxed{...}`, `\fbox{...}` or `\framebox{...}` holds; None where there is none.

    Braces nest and may be escaped; of nested boxes the outer one is the last. A number needs no braces: `\boxed73`. A
    box where an answer is yet to come (`\boxed{}`, `\boxed{...}`, `\boxed{\text{answer}}`) is no box.

    A box that is still open where the text ends was cut off, or its brace was forgotten: either way it withdraws all
    boxes that stand before it, since the text says something else last. Complete boxes behind its opening count.
    """
    open_braces: list[int | None] = []  # where the content starts if the brace is a box's, else None
    last: tuple[int, int] | None = None
    for match in _BRACE.finditer(text):
        token = match.group()
        found = None
        if token == "}":
            start = open_braces.pop() if open_braces else None
            found = None if start is None else (start, match.start())
        elif match["open"] or match["end"] is not None:
            open_braces.append(match.end())
        elif token == "{":
            open_braces.append(None)
        elif match["escaped"] is not None:
            found = match.span("escaped")
        elif match["bare"]:
            found = _bare(match)
        if found is not None and not _is_placeholder(text, *found):
            last = found
    if last is None or any(start is not None and start > last[0] for start in open_braces):
        return None
    return text[slice(*last)]


def extract_answer(text: str, edition: Edition) -> int | None:
    """The answer that a model's text gives: the integer in its last box, if the edition allows it.

    It is reduced by the edition's modulus, to a residue that is never negative (-900 is 100 modulo 1000), and
    must then lie in 0..`max_answer`. Prose outside a box is never an answer. None is no answer, and not 0.
    """
    boxed = last_boxed(text)
    value = None if boxed is None else parse_integer(boxed)
    if value is None:
        return None
    if edition.modulus is not None:
        value %= edition.modulus
    return value if 0 <= value <= edition.max_answer else None


def _bare(match: re.Match[str]) -> tuple[int, int]:
    """Where the number without braces stands, with what follows if that belongs to it."""
    if match["more"]:
        return match.start("bare"), match.end("more")
    return match.start("bare"), match.start("bare") + len(match["bare"].rstrip(".,;:"))


def _is_placeholder(text: str, start: int, end: int) -> bool:
    return end - start <= _LONGEST_PLACEHOLDER and _PLACEHOLDER.fullmatch(text, start, end) is not None
