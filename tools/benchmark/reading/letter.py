"""Extract the letter chosen by a reply."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from tools.benchmark.reading.boxes import Box, ends_in_box, find_boxes
from tools.benchmark.reading.doubt import is_hedged, is_withdrawn
from tools.benchmark.reading.thinking import behind_thinking

_BEFORE = (
    r"""(?:[\s"'\u201c\u2018*_$`\[({<:]|\\[(\[]|\\(?:text|math|bold)\w*"""
    r"""|\b(?i:option|choice|answer|letter|either|is)\b)*"""
)
_CLOSED = r"""[\s)*_"'$}\]`>]|\\[)\]]"""  # what closes what was opened before a letter
# What may follow a letter that is chosen; other letters, digits and signs make it a word, a name or a formula.
_AFTER = (
    r"""(?=(?:_(?![A-Za-z\d{])|[*"\u201d\u2019$}\]`<>]|'(?!\w)|\\[)\]])"""
    r"""|[ \t]*(?:$|\.(?![ \t]+[a-z]{2})|[,;:)!/&\n(]|[-\u2013\u2014]\s|\\(?:[ ,;:!]|quad|text)"""
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
      | \b(?:choose|select|pick|is|be)\s+(?=[*_(]*(?:option|choice)\b)
      | \bI(?:\s+(?:would|will|shall)|'ll|'d)?(?:\s+therefore)?\s+(?:choose|select|pick|go\s+with)\s+
            (?=[*_$("]*(?-i:[A-D])[*_$)"]*(?:[.!\s]*\Z|[.!]\s))
      | 答案(?:应该|應該|应|選|选)?[是为為选選]?[\s*_]*:?""",
    re.IGNORECASE | re.VERBOSE,
)
_RIGHT = re.compile(
    r"\b(?i:option|choice|answer)\s+[*_$(]*([A-D])[)*_$]*"
    r"(?:\s*,?\s*(?:\w+\s+){0,4}?is\s+(?:the\s+|therefore\s+)*(?:correct|right|best|answer)|[\s.*_]*\Z)"
    r"|(?:\(([A-D])\)|(?<![\w(\[])([A-D])(?=[*_]*\s+is\s+the\s))[*_]*\s+is\s+(?:the\s+)?(?:correct|right|best)\b"
)
_ONE_IS_RIGHT = re.compile(
    r"(?:\A|[.!:\n]\s*|\b(?i:so|thus|hence|therefore),?\s+)[*_$(]*([A-D])[*_$)]*\s+is\s+(?:correct|right)[\s.!*_]*\Z"
)
_OTHER_BOX = re.compile(r"[\s$]*(?:\\\))?(?:\s*,?\s*(?:or|and|/|,|&)\s*)(?:\\\()?[\s$]*")
_ZERO_WIDTH = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")
_LAST_LINE = re.compile(
    r"(?:\A|\n)[ \t>#]*(?:[*_$(`]*([A-D])[)*_$.`]*|(?:\*\*|__)\(?([A-D])[).:][^\n*_]*(?:\*\*|__)\.?)\s*\Z"
)


def read_letter(text: str) -> str | None:
    r"""Return the letter that a text states last as its choice: in JSON, a box, a phrase, or alone on its last line.

    A statement of several letters chooses none, nor does a text whose last box is cut off.

    >>> read_letter('So the second one: "answer": "B"')
    'B'
    >>> read_letter("A cation. The answer is (C).")
    'C'
    """
    text = _ZERO_WIDTH.sub("", unicodedata.normalize("NFKC", behind_thinking(text)).replace("\u3002", ". "))
    if ends_in_box(text):
        return None
    found = [*_phrases(text), *_boxed(text, find_boxes(text))]
    stated = [(start, end, letter) for start, end, letter in found if letter is not None]
    if not stated:
        return None
    _, end, letter = max(stated)
    return None if is_withdrawn(text[end:]) else letter or None


def _boxed(text: str, boxes: Sequence[Box]) -> Iterator[tuple[int, int, str | None]]:
    """Find the boxes that may hold letters, and the letters; adjacent boxes are one statement."""
    behind: tuple[int, str | None] | None = None
    for box in reversed(boxes):
        letter = _letter(box.content)[0] if box.content is not None else None
        if letter and behind and behind[1] not in (None, letter) and _OTHER_BOX.fullmatch(text, box.end, behind[0]):
            yield behind[0], len(text) + 1, ""
            return
        behind = box.start, letter
        doubted = letter and is_hedged(text, box.start, box.start, box.end)
        yield box.start, box.end, "" if doubted else letter


def _phrases(text: str) -> Iterator[tuple[int, int, str | None]]:
    """Find where a letter may be stated in words, and the letter; "" where it is denied or assumed."""
    for match in _STATEMENT.finditer(text):
        letter, length = _letter(text[match.end() : match.end() + 200])
        end = match.end() + length
        yield match.end(), end, "" if letter and is_hedged(text, match.start(), match.end(), end) else letter
    for pattern in (_RIGHT, _ONE_IS_RIGHT):
        for match in pattern.finditer(text):
            found = next(filter(None, match.groups()))
            doubted = is_hedged(text, match.start(), match.start(), match.end())
            yield match.start(), match.end(), "" if doubted else found
    last = _LAST_LINE.search(text)
    if last:
        yield max(last.start(1), last.start(2)), last.end(), last[1] or last[2]


def _letter(value: str) -> tuple[str | None, int]:
    """Return the letter at the start of a value and its end; "" if there are several, None if there is none."""
    bare = value.lstrip()
    match = _LETTER.match(bare)
    if match is None:
        match = _SMALL.match(bare)
        return (match[1].upper(), len(value) - len(bare) + match.end(1)) if match else (None, 0)
    another = _ANOTHER.match(bare, match.end())
    letter = "" if another and another[1] != match[1] else match[1]
    return letter, len(value) - len(bare) + match.end()
