r"""Finds what a reply states as its answer to a mathematical question."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tools.benchmark_boxes import Box, ends_in_box, find_boxes

_ANSWER = re.compile(
    r"""(?: \b(?:final|correct)?\s*answers?\b [^\n.$:=]{0,60}? (?: \b(?:is|are|equals?|be)\b | [:=] )  # the answer is
          | ^[\#*_\ \t]* (?:the\s+)?(?:final\s+)? answers? [*_:\s]* $ )  # a heading
        (?: [\s:*_=] | \b(?:therefore|thus|then|hence|simply|just|indeed|now|given\ by)\b ,? )*""",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
_FORMULA = re.compile(r"\$\$(.+?)\$\$|\$((?:\\.|[^$\n])+?)\$|\\\[(.+?)\\\]|\\\((.+?)\\\)", re.DOTALL)
_LINK = re.compile(r"\s*(?:,?\s*(?:and|or)\b|[,;])\s*")
_SENTENCE_END = re.compile(r"[.!?;][*_\"')\]]*(?=\s|$)|\n")
_BETWEEN_SENTENCES = re.compile(r"[.!?][*_\"')\]$]*\s|\n\s*\n")
_BETWEEN_VALUES = re.compile(
    r"(?:[\s$,;&*]|\\[\[\](),;:! ]|\\quad|\b(?:and|or)\b|\\text\s*\{\s*(?:and|or)\s*\}|\w+\s*=)*"
)
_VALUE = re.compile(r"[\[({+-]*\s*(?:\d|\\(?:[dt]?frac|sqrt|pi|infty))")  # how a bare value begins, and no prose does
_BOLD = re.compile(r"\*\*([^*\n]+)\*\*")
_REMARK = re.compile(
    r"(?:(?:in)?correct|right|wrong|clear|unique|below|above|as follows|in |not )|.*\b(?:not|none|neither|cannot)\b",
    re.I,
)


def stated_answers(text: str) -> list[str]:
    r"""The answer that a reply states last, as LaTeX, behind the others that the same sentence gives beside it.

    It is stated by a box, or by a phrase such as `The answer is 7` or `**Final Answer** 7`; a phrase behind the last
    box counts only if it gives a formula or a number. Empty where nothing is stated, or where the text ends in a box
    that is still open, as that withdraws what was stated before.

    >>> stated_answers("So x is \\boxed{5} or \\boxed{7}.")
    ['5', '7']
    """
    text = text.rstrip()
    if ends_in_box(text):
        return []
    boxes = find_boxes(text)
    phrased = _phrased(text, boxes[-1].end if boxes else 0, strict=bool(boxes))
    return phrased or _boxed(text, boxes)


def _boxed(text: str, boxes: Sequence[Box]) -> list[str]:
    """What the last boxes hold that stand in one sentence."""
    found: list[str] = []
    behind: Box | None = None
    for box in reversed(boxes):
        if box.content is None or (behind and not _together(text[box.end : behind.start])):
            break
        found.insert(0, box.content)
        behind = box
    return found


def _together(between: str) -> bool:
    return bool(_BETWEEN_VALUES.fullmatch(between)) or not _BETWEEN_SENTENCES.search(between)


def _phrased(text: str, start: int, *, strict: bool) -> list[str]:
    """What the last phrase behind `start` gives; if `strict`, no phrase that gives prose counts."""
    for match in reversed(list(_ANSWER.finditer(text, start))):
        formulas = _formulas(text, match.end())
        if formulas:
            return formulas
        end = _SENTENCE_END.search(text, match.end())
        value = _value(text[match.end() : end.start() if end else None])
        if value and (_VALUE.match(value) or not (strict or _REMARK.match(value))):
            return [value]
    return []


def _value(sentence: str) -> str:
    """What the rest of a sentence gives: itself, or the one number or formula in it that is set apart."""
    bare = sentence.strip(" \t*_`$.,")
    if not _VALUE.match(bare) and not _REMARK.match(bare):
        apart = [match[1] for match in _BOLD.finditer(sentence)]
        apart += [next(filter(None, match.groups())) for match in _FORMULA.finditer(sentence)]
        if len(apart) == 1:
            return apart[0].strip(" $.:")
    return bare if bare.count("{") == bare.count("}") else ""


def _formulas(text: str, position: int) -> list[str]:
    """The formulas from there on that are set apart from each other by commas, "and" or "or" alone."""
    found: list[str] = []
    while match := _FORMULA.match(text, position):
        found.append(next(group for group in match.groups() if group is not None))
        link = _LINK.match(text, match.end())
        if link is None:
            break
        position = link.end()
    return found
