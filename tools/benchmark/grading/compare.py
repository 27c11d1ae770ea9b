"""Compare an answer with the truth by math-verify, with stricter rules for letters, words, bases and exactness."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from typing import Any

import sympy  # type: ignore[import-untyped]
from math_verify import LatexExtractionConfig, parse, verify

from tools.benchmark.grading.exact import exact, surely_differ
from tools.benchmark.grading.notation import rewritten
from tools.benchmark.grading.shape import shapes_differ
from tools.benchmark.grading.words import say_otherwise

_CONFIG = (LatexExtractionConfig(boxed_match_priority=0),)  # only the box, never a number from the prose
_MOST_CHARS = 1_000  # in one spelling of an answer
_MOST_POWER = 100
_LONGEST = 10**100  # a number that is written out in it

_OR = r"\\(?:lor|vee|cup)(?![A-Za-z])|\\text\s*\{\s*or\s*\}|\bor\b"
_LINK = re.compile(rf"\s*,?\s*(?:{_OR}|;|\\text\s*\{{\s*and\s*\}}|\band\b)\s*")
_RELATION = re.compile(r"[<>]|\\(?:le|ge|ne)(?![A-Za-z])")
_SIGNS = re.compile(r"\\(?:pm|mp)(?![A-Za-z])")
_UNION = re.compile(_OR)
_BUILDER = re.compile(r"\\\{\s*([A-Za-z])\s*(?:\\in\s*\\mathbb\{R\}\s*)?[|:]\s*(.+?)\s*\\\}")

_CHOICE = re.compile(r"[{\s]*\(([A-Z])\)[}\s]*(?P<more>.*)|\s*([A-Z])\s*(?:[.):].*)?", re.DOTALL | re.IGNORECASE)
_OPTION = re.compile(r"\b(?:option|choice|answer)\b[\s:]*", re.IGNORECASE)
_GAP = re.compile(r"(?<!\d)\s+|\s+(?!\d)")  # white space that does not separate two numbers
_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")
_UNIT = re.compile(
    r"(?<=[\d})])\s*(?:\\[ ,;:])*\s*\\text\s*\{(?!\s*(?:and|or|if|base|to)\b)[^{}\d]*(?:\^\d)?\}"
    r"(?:\s*\^\s*(?:\d|\{\d\}))?"
)
_LABEL = re.compile(
    r"^\s*(?:\\text\s*\{[^{}]*\}|(?i:(?:the\s+)?(?:final\s+)?answer(?:\s+is)?))\s*[:=]?\s*(?=[-+\d\\(\[.])"
)

_NUMERALS = [
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
]
_BASE_NAME = rf"(\d+|{'|'.join(_NUMERALS)})"
_BASE = re.compile(
    rf"(?<![A-Za-z\\_])(?<=[\dA-F)])\s*(?:_\s*(?:\\text\s*)?[{{(\s]*(?:\\text\s*\{{)?\s*\(?\s*{_BASE_NAME}\s*\)?[}})\s]*"
    rf"|(?:\\text\s*\{{)?\s*\(?(?:in\s+)?base[-\s]*\}}?\s*{_BASE_NAME}\s*\)?\s*\}}?)",
    re.IGNORECASE,
)


def judged(truth: str, answers: Sequence[str]) -> tuple[str | None, bool]:
    """Return the normalized last answer, or all of them if the truth is a list, and whether it is right.

    Answers that are empty have no spelling.
    """
    wanted = rewritten(truth)
    count = max(_count(wanted), _count(re.sub(r"^\(([^()]*)\)$", r"\1", wanted)))  # a tuple counts its entries
    joined = len(answers) >= count > 1 == _count(rewritten(answers[-1]))
    given = ", ".join(answers[-count:]) if joined else answers[-1]
    answer = rewritten(given)
    if not answer:
        return None, False
    otherwise = say_otherwise(*(_BASE.sub("", side) for side in (truth, given))) or shapes_differ(wanted, answer)
    return _spelling(answer), not otherwise and same(wanted, answer) and ("mod" in given or not _untrue(answer))


def _untrue(latex: str) -> bool:
    """Whether it equates two different numbers, as in 4 = 5."""
    sides = [_parsed(_plain(side)) for side in latex.split("=")] if "=" in latex and not _RELATION.search(latex) else []
    numbers = [side[0] for side in sides if side and isinstance(side[0], sympy.Expr) and not side[0].free_symbols]
    with contextlib.suppress(Exception):  # sympy raises what it likes where it cannot calculate
        return any(surely_differ(number, numbers[-1]) for number in numbers[:-1])
    return False


def same(truth: str, answer: str) -> bool:
    """Whether two normalized expressions are the same answer."""
    if (letter := _letter(truth)) is not None:
        return letter == (_letter(answer) or _letter(rf"\text{{{answer}}}"))
    if (words := _words(truth)) is not None:
        return words == (_words(answer) or _words(rf"\text{{{answer}}}"))
    if _differ_in_base(truth, answer):
        return False
    plain = [_plain(side) for side in (truth, answer)]
    if _equal(*(side.replace("%", "") for side in plain)):
        return True
    percents = ["%" in side for side in plain]
    if percents[0] == percents[1]:
        return False
    return _equal(*(rf"\frac{{{side.replace('%', '')}}}{{100}}" if "%" in side else side for side in plain))


def _letter(latex: str) -> str | None:
    r"""The letter of a choice, as in `\text{(E)}`; after one in parentheses may stand what was chosen."""
    match = _CHOICE.fullmatch(_OPTION.sub("", _TEXT.sub(r"\1", latex)))
    if match is None or (not match[1] and r"\text" not in latex):
        return None
    others = re.findall(r"\(([A-Z])\)", match["more"] or "")
    return ", ".join(sorted({(match[1] or match[3]).upper(), *others}))


def _words(latex: str) -> list[str] | None:
    """Return the words of a text in lower case, sorted if they are a list; None for anything else."""
    inner = _TEXT.sub(r" \1 ", latex)
    if inner == latex or not re.fullmatch(r"[\w\s.,;:'&/()!?-]*[A-Za-z]{2}[\w\s.,;:'&/()!?-]*", inner):
        return None
    outside = _TEXT.sub("", latex)
    if re.search(r"[A-Za-z\d]", outside):
        return None
    parts = re.split(r",|;|&|\band\b|\bor\b", inner)
    words = (re.sub(r"[\W_]+", " ", part).strip().casefold() for part in parts)
    return sorted(re.sub(r"^(?:an?|the) (?=\w\w)", "", word) for word in words if word)


def _differ_in_base(truth: str, answer: str) -> bool:
    wanted, given = ([_base(match) for match in _BASE.finditer(side)] for side in (truth, answer))
    return wanted != given and bool(given) and (bool(wanted) or given != [10])


def _base(match: re.Match[str]) -> int:
    name = (match[1] or match[2]).lower()
    return int(name) if name.isdigit() else _NUMERALS.index(name) + 2


def _plain(latex: str) -> str:
    """Strip bases, units and phrases that introduce a value."""
    latex = _BASE.sub("", latex)
    latex = _UNIT.sub("", latex)
    latex = re.sub(r"\\text\s*\{([^{}A-Za-z]*)\}", r"\1", _LABEL.sub("", latex))
    return _both_signs(_BUILDER.sub(r"\2", latex).strip())


def _both_signs(latex: str) -> str:
    r"""Expand each value with a `\pm` to the two values that it represents."""
    values: list[str] = []
    for value in _parts(latex) if _SIGNS.search(latex) else [latex]:
        values += [value.replace(r"\pm", one).replace(r"\mp", other) for one, other in ("+-", "-+")]
    return ", ".join(dict.fromkeys(values))


def _count(latex: str) -> int:
    """Count the values of a list."""
    inner = re.sub(r"^\\\{(.*)\\\}$", r"\1", latex)
    return len(_parts(_both_signs(_LINK.sub(",", inner))))


def _parts(latex: str) -> list[str]:
    """Split at commas outside parentheses."""
    depth, parts = 0, [""]
    for char in latex:
        depth += (char in "([{") - (char in ")]}")
        if char == "," and not depth:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def _equal(truth: str, answer: str) -> bool:
    if _GAP.sub("", truth) == _GAP.sub("", answer):
        return True
    wanted, given = _parsed(truth), _parsed(answer)
    if not (wanted and given):
        return False
    if not verify(wanted, given, allow_set_relation_comp=True, timeout_seconds=None):
        return isinstance(wanted[0], sympy.Eq) and isinstance(given[0], sympy.Eq) and _multiples(wanted[0], given[0])
    different = False
    with contextlib.suppress(
        Exception
    ):  # sympy raises what it likes where it cannot calculate; then math-verify decides
        different = surely_differ(wanted[0], given[0])
    return not different


def _multiples(one: Any, other: Any) -> bool:
    """Whether an equation is a multiple of the other one."""
    with contextlib.suppress(Exception):
        factor = sympy.simplify((one.lhs - one.rhs) / (other.lhs - other.rhs))
        return bool(factor.is_number and factor.is_nonzero and factor.is_finite and one.free_symbols)
    return False


def _parsed(latex: str) -> list[Any]:
    """Return what math-verify parses, best first; for several inequalities the set of their solutions."""
    if _RELATION.search(latex):
        latex, union = _UNION.sub(",", latex), _UNION.search(latex) is not None
    if latex.count("{") != latex.count("}"):
        return []  # math-verify would read a part of it
    parsed: list[Any] = parse(rf"\boxed{{{latex}}}", _CONFIG, parsing_timeout=None)
    if parsed and isinstance(parsed[0], sympy.FiniteSet) and _RELATION.search(latex):
        with contextlib.suppress(Exception):  # sympy raises what it likes where it cannot solve
            parsed[0] = _solutions(parsed[0].args, union=union)
    return parsed


def _solutions(relations: Sequence[Any], *, union: bool) -> Any:
    """The numbers for which the relations hold: each, or one of them where `union` or where no number fulfils all."""
    sets = [relation.as_set() for relation in relations]
    common = sympy.Intersection(*sets)
    return sympy.Union(*sets) if union or common.is_empty else common


def _spelling(latex: str) -> str:
    """Return a canonical form of an answer as far as possible, by which votes are counted."""
    letter, words = _letter(latex), _words(latex)
    if letter or words:
        return letter or ", ".join(words or ())
    bases = "".join(f"_{_base(match)}" for match in _BASE.finditer(latex))
    parsed = _parsed(_plain(latex))
    value = parsed[0] if parsed else latex
    if isinstance(value, sympy.Eq) and value.lhs.is_Symbol:
        value = value.rhs
    with contextlib.suppress(Exception):  # what sympy cannot calculate stays as it was read
        value = _written_out(value)
    return f"{value}{bases}"[:_MOST_CHARS]


def _written_out(value: Any) -> Any:
    """Evaluate a rational number, unless that is slow or the result is long; return anything else unchanged."""
    if value.has(sympy.factorial) or not all(abs(power.exp) <= _MOST_POWER for power in value.atoms(sympy.Pow)):
        return value
    number = exact(value)
    return number if number.is_Rational and max(abs(number.p), number.q) < _LONGEST else value
