r"""Find the answer that a reply states to a mathematical question."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tools.benchmark.reading.boxes import Box, ends_in_box, find_boxes
from tools.benchmark.reading.doubt import is_hedged, is_withdrawn

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
    r"""Return the answer that a reply states last, as LaTeX, after the others in the same sentence.

    It is stated by a box, or by a phrase such as `The answer is 7` or `**Final Answer** 7`; a phrase after the last
    box counts only if it gives a formula or a number. Empty where nothing is stated, or where the text ends in a box
    that is still open, as that withdraws what was stated before; so do words after it such as `Wait, no.`, and a last
    statement that denies, supposes or asks.

    >>> stated_answers("So x is \\boxed{5} or \\boxed{7}.")
    ['5', '7']
    """
    text = text.rstrip()
    if ends_in_box(text):
        return []
    boxes = find_boxes(text)
    last = boxes[-1] if boxes else None
    phrased = _phrased(text, last.end if last else 0, strict=bool(boxes))
    if phrased is not None or last is None:
        return phrased or []
    doubted = is_hedged(text, last.start, last.start, last.end) or is_withdrawn(text[last.end :])
    return [] if doubted else _boxed(text, boxes)


def _boxed(text: str, boxes: Sequence[Box]) -> list[str]:
    """Return the contents of the last boxes that are in the same sentence."""
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


def _phrased(text: str, start: int, *, strict: bool) -> list[str] | None:
    """Return the answer of the last phrase after `start`; if `strict`, phrases followed by prose do not count.

    Empty where that is doubted, None where there is no such phrase.
    """
    for match in reversed(list(_ANSWER.finditer(text, start))):
        formulas, behind = _formulas(text, match.end())
        end = _SENTENCE_END.search(text, match.end())
        behind = behind if formulas else (end.start() if end else len(text))
        value = _value(text[match.end() : behind])
        if formulas or (value and (_VALUE.match(value) or not (strict or _REMARK.match(value)))):
            doubted = is_hedged(text, match.start(), match.end(), behind) or is_withdrawn(text[behind:])
            return [] if doubted else formulas or [value]
    return None


def _value(sentence: str) -> str:
    """Return the rest of a sentence, or the single number or formula that is marked up in it."""
    bare = sentence.strip(" \t*_`$.,")
    if not _VALUE.match(bare) and not _REMARK.match(bare):
        apart = [match[1] for match in _BOLD.finditer(sentence)]
        apart += [next(filter(None, match.groups())) for match in _FORMULA.finditer(sentence)]
        if len(apart) == 1:
            return apart[0].strip(" $.:")
    return bare if bare.count("{") == bare.count("}") else ""


def _formulas(text: str, position: int) -> tuple[list[str], int]:
    """Return the following formulas separated only by commas, "and" or "or", and the end of the last one."""
    found: list[str] = []
    end = position
    while match := _FORMULA.match(text, position):
        found.append(next(group for group in match.groups() if group is not None))
        end = match.end()
        link = _LINK.match(text, end)
        if link is None:
            break
        position = link.end()
    return found, end
