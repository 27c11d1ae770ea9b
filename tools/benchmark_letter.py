"""Reads the letter that a reply chooses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tools.benchmark_boxes import ends_in_box, find_boxes

_BEFORE = (
    r"""(?:[\s"'\u201c\u2018*_$`\[({<:]|\\[(\[]|\\(?:text|math|bold)\w*"""
    r"""|\b(?i:option|choice|answer|letter|either|is)\b)*"""
)
_CLOSED = r"""[\s)*_"'$}\]`>]|\\[)\]]"""  # what closes what was opened before a letter
# What may follow a letter that is chosen; other letters, digits and signs make it a word, a name or a formula.
_AFTER = (
    r"""(?=(?:_(?![A-Za-z\d{])|[*"\u201d\u2019$}\]`<>]|'(?!\w)|\\[)\]])"""
    r"""|[ \t]*(?:$|[.,;:)!/&\n(]|[-\u2013\u2014]\s|\\(?:[ ,;:!]|quad|text)"""
    r"""|(?:because|since|as|or|and|which|for|due|with|is|over|here)\b))"""
)
_LETTER = re.compile(rf"{_BEFORE}([A-D]){_AFTER}")
_SMALL = re.compile(rf"{_BEFORE}(?<=[\"'(])([a-d])(?=[\"')])")
_ANOTHER = re.compile(
    rf"""(?:{_CLOSED})*(?:[,/&]|\b(?:or|and)\b|\\text\s*\{{\s*(?:or|and)\s*\}})\s*{_BEFORE}([A-D])(?![A-Za-z\d'])""",
    re.VERBOSE,
)
_STATEMENT = re.compile(
    r"""(?<![A-Za-z])(?:(?:final|correct|right|best)[\s_]+)*(?:answer|choice(?=["'])|(?:correct|right|best|final)\s+(?:choice|option|letter))s?\b["']?
            (?:[^\n.:={}\\]{0,40}?\b(?:is|be)\b | [\s*_]*[:=>] | [\s*_#]*\n)
      | \b(?:choose|select|pick|is|be)\s+(?=[*_(]*(?:option|choice)\b)""",
    re.IGNORECASE | re.VERBOSE,
)
_RIGHT = re.compile(
    r"\b(?i:option|choice|answer)\s+[*_$(]*([A-D])[)*_$]*"
    r"(?:\s*,?\s*(?:\w+\s+){0,4}?is\s+(?:the\s+|therefore\s+)*(?:correct|right|best|answer)|[\s.*_]*\Z)"
    r"|(?:\(([A-D])\)|(?<![\w(\[])([A-D])(?=[*_]*\s+is\s+the\s))[*_]*\s+is\s+(?:the\s+)?(?:correct|right|best)\b"
)
_LAST_LINE = re.compile(
    r"(?:\A|\n)[ \t>#]*(?:[*_$(`]*([A-D])[)*_$.`]*|(?:\*\*|__)\(?([A-D])[).:][^\n*_]*(?:\*\*|__)\.?)\s*\Z"
)


def read_letter(text: str) -> str | None:
    r"""The letter that a text states last as its choice: in JSON, in a box, by a phrase, or alone on its last line.

    A statement of several letters chooses none, nor does a text whose last box is cut off.

    >>> read_letter('So the second one: "answer": "B"')
    'B'
    >>> read_letter("A cation. The answer is (C).")
    'C'
    """
    if ends_in_box(text):
        return None
    boxes = [(box.start, _letter(box.content)) for box in find_boxes(text) if box.content is not None]
    found = [*_phrases(text), *boxes]
    stated = [(place, letter) for place, letter in found if letter is not None]
    return max(stated)[1] or None if stated else None


def _phrases(text: str) -> Iterator[tuple[int, str | None]]:
    """Where a letter may be stated by words, and what is stated there."""
    for match in _STATEMENT.finditer(text):
        yield match.end(), _letter(text[match.end() : match.end() + 200])
    for match in _RIGHT.finditer(text):
        yield match.start(), match[1] or match[2] or match[3]
    last = _LAST_LINE.search(text)
    if last:
        yield max(last.start(1), last.start(2)), last[1] or last[2]


def _letter(value: str) -> str | None:
    """The letter at the start of a value; empty if there are several, None if there is none."""
    value = value.lstrip()
    match = _LETTER.match(value)
    if match is None:
        small = _SMALL.match(value)
        return small[1].upper() if small else None
    another = _ANOTHER.match(value, match.end())
    return "" if another and another[1] != match[1] else match[1]
