r"""Classify an expression: a set, a tuple, a ratio."""

from __future__ import annotations

import re

_NAME = re.compile(r"^\s*\(?[A-Za-z](?:\s*,\s*[A-Za-z])*\)?\s*(?:=|\\in(?![A-Za-z]))\s*(?=\\?\{|\()")
_SIZED = re.compile(r"\\(?:left|right)(?![A-Za-z])\s*")
_SIDE = r"(?:\d|\\[a-z]*frac|\\sqrt|\\pi)"
_RATIO = re.compile(rf"(?<=[\d}}a-z])\s*(?::|\\colon(?![A-Za-z]))\s*(?={_SIDE})")
_CONDITION = re.compile(r"\||:|[<>]|\\(?:le|ge|ne|in)(?![A-Za-z])")


def shapes_differ(truth: str, answer: str) -> bool:
    """Whether two normalized expressions are of different kinds, or ratios of different terms.

    A list without brackets may stand for a set or a tuple; one value may not.
    """
    if _terms(truth) != _terms(answer):
        return True
    wanted, given = _kind(truth), _kind(answer)
    return wanted != given and ("single" in (wanted, given) or "" not in (wanted, given))


def _terms(latex: str) -> list[str]:
    """Return the terms of a ratio, without white space; none for anything else."""
    terms = [] if r"\{" in latex else _RATIO.split(latex)
    return [re.sub(r"\s+|\\[,;: ]", "", term) for term in terms] if len(terms) > 1 else []


def _kind(latex: str) -> str:
    latex = _NAME.sub("", _SIZED.sub("", latex)).strip()
    if re.fullmatch(r"\\\{(?:(?!\\\{|\\\}).)*\\\}", latex) and not _CONDITION.search(latex):
        return "set" if "," in latex or r"\text" in latex else "single"
    return "tuple" if re.fullmatch(r"\([^()]*,[^()]*\)", latex) else ""
