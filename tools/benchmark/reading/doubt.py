"""Distinguish a statement of an answer from one that denies, assumes, questions or retracts it."""

from __future__ import annotations

import re

_SENTENCE_START = re.compile(r"[.!?][*_\"')\]$]*\s|\n")
_SUPPOSED = re.compile(
    r"\b(?:if|unless|whether|suppos\w+|assum\w+|imagine|pretend|let['\u2019]?s\s+say|doubt\w*|unlikely|wonder\w*|deny"
    r"|not\s+(?:\w+\s+)?(?:true|sure|certain|clear|convinced|think|believe|say|mean|the\s+case)"
    r"|n['\u2019]t\s+(?:\w+\s+)?(?:true|sure|certain|clear|convinced|think|believe|say|mean|the\s+case))\b"
    r"(?:(?!,|\bthen\b).){0,40}$"
    r"|\b(?:wrong|incorrect|false|not\s+the|no)\s*$",
    re.IGNORECASE | re.DOTALL,
)
_DENIED = re.compile(
    r"\b(?:not|never|cannot|neither|nor|hardly|could|might|may|wrong|incorrect|doubtful|unlikely|possibly|perhaps|maybe"
    r"|depends)\b|n['\u2019]t\b",
    re.IGNORECASE,
)
_DENIED_AT_END = re.compile(
    r"(?:\b(?:not|never|cannot\s+be|neither|rather\s+than|instead\s+of)|n['\u2019]t(?:\s+be)?)"
    r"(?:\s+(?:equal(?:\s+to)?|be|just|simply|the\s+(?:number|value)))*[\s$*:(]*(?:\\\(|\\\[)?\s*$",
    re.IGNORECASE,
)
_QUESTION = re.compile(
    r"[\s$*_)\]`\"']*(?:\\[)\]]\s*)?\?(?!\s*[*_]*(?:yes|indeed|correct|right|exactly)\b)", re.IGNORECASE
)
_REJECTED = re.compile(
    r"[\s$*_)\]}`\"'.,]*(?:\\[)\]]\s*)?\(?(?:(?:is|was|seems|looks|would\s+be|must\s+be)\s+(?:(?:clearly|certainly|also|then)\s+)*"
    r"(?:wrong|incorrect|false|not\b|ruled\s+out|impossible|excluded)|(?:isn|can|doesn|won)['\u2019]t\b|cannot\b"
    r"|(?:fails|wrong|incorrect)\b)",
    re.IGNORECASE,
)
_WITHDRAWN = re.compile(
    r"(?<![A-Za-z])(?:wait|hold\s+on|hmm+|no)(?=[*_]*\s*(?:[,.!:\u2026\u2014]|$))"
    r"|\b(?:let\s+me|let\s+us|let['\u2019]s|i\s+(?:should|need\s+to|must))\s+(?:just\s+)?"
    r"(?:re-?check|re-?consider|re-?think|re-?examine|re-?do|re-?verify|re-?calculate|re-?compute)"
    r"|\A[^A-Za-z\n]*(?:(?:but|oh|no|sorry),?\s+)?that(?:['\u2019]s|\s+is|\s+was|\s+can['\u2019]?not\s+be|\s+can['\u2019]t\s+be|\s+seems)\s+(?:\w+\s+)?(?:wrong|incorrect|not\s+right|false)\b"
    r"|\bi\s+(?:was|am|made)\s+(?:wrong|a\s+mistake)\b|\bscratch\s+that\b",
    re.IGNORECASE,
)


def is_hedged(text: str, start: int, value: int, end: int) -> bool:
    """Whether the statement that starts at `start`, with a value from `value` to `end`, does not assert the value.

    >>> is_hedged("The answer cannot be 42.", 4, 21, 23)
    True
    """
    sentence = max((match.end() for match in _SENTENCE_START.finditer(text, max(0, start - 400), start)), default=0)
    if _SUPPOSED.search(text[sentence or max(0, start - 400) : start]) or _DENIED.search(text[start:value]):
        return True
    if _DENIED_AT_END.search(text[sentence:value]):
        return True
    return bool(_QUESTION.match(text, end) or _REJECTED.match(text, end))


def is_withdrawn(rest: str) -> bool:
    """Whether the text after the last statement retracts it without another one.

    >>> is_withdrawn(". Wait, no.")
    True
    """
    return bool(_WITHDRAWN.search(rest))
