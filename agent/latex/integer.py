r"""Parse the integer that a piece of LaTeX represents, as found in a `\boxed{...}`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from agent.latex.arithmetic import NotAnIntegerError, evaluate
from agent.latex.tokens import latex_tokens
from agent.latex.words import CONDITION, CONGRUENT, GIVES, LABEL, UNIT, UNREADABLE, changes_value

_FEW_DIGITS = 18
MAX_CHARS = 10_000  # a longer box holds prose, not an integer
_OPENING = frozenset({"{", "(", "[", "\\{", "\\lfloor", "\\lceil"})
_CLOSING = frozenset({"}", ")", "]", "\\}", "\\rfloor", "\\rceil"})
_SYMBOL_NAMES = r"""
    \alpha \beta \gamma \delta \theta \lambda \mu \phi \varphi \sigma \omega \Delta \Omega \ell \angle \triangle \gcd
"""
_SYMBOLS = frozenset(_SYMBOL_NAMES.split())
_IN_NAMES = frozenset("+-|_(){}")
_STRUCK_OUT = re.compile(r"~~[^~]+~~")
_CHANGING = frozenset("+-*/^!") | {"\\frac", "\\sqrt", "\\log", "\\ln", "\\sin", "\\cos", "\\tan", "\\exp"}
_FUNCTIONS = frozenset("fghFGHP")
_QUOTES = frozenset({"**", "`", '"'})


def parse_integer(latex: str) -> int | None:
    r"""Parse the integer that a piece of LaTeX represents; None if it represents anything else.

    Accepted: thousands separators, signs, leading zeros, whole decimals (`42.0`), ordinals (`12^{\text{th}}`), styles,
    colours and wrappers, units after the number (`\text{ cm}`, `^\circ`, `\%`), the value that an equation or a
    sentence gives (`x = 42`, `42 = x`, `\text{The answer is } 42`), and arithmetic with a whole result: + - * / ^ !,
    `\frac`, `\binom`, `\sqrt`, `\lfloor`, parentheses, and a modulus at the end (`-1 \pmod{7}` is 6). A condition
    after the value is ignored (`42 \text{ for } n = 4` is 42).

    A letter outside `\text` is a variable, so `42x` is None (except for a few common units such as `cm`). Also None:
    lists, bounds and estimates, words that may change the value (`12 \text{ million}`), digits of another base,
    equations whose sides are different numbers, and any expression with an intermediate number of more than
    `MAX_DIGITS` digits.
    """
    if len(latex) <= _FEW_DIGITS and latex.isascii() and latex.isdecimal():  # most are no more than that
        return int(latex)
    if len(latex) > MAX_CHARS or _STRUCK_OUT.search(latex):
        return None
    try:
        value = _claim(_unwrapped(latex_tokens(latex)))
    except NotAnIntegerError:
        return None
    return value.numerator if value.denominator == 1 else None


def _unwrapped(tokens: list[str]) -> list[str]:
    """Strip enclosing pairs of braces or quotes, and punctuation at both ends."""
    partner: dict[int, int] = {}
    open_braces: list[int] = []
    for index, token in enumerate(tokens):
        if token == "{":
            open_braces.append(index)
        elif token == "}" and open_braces:
            partner[open_braces.pop()] = index
    first, last = 0, len(tokens) - 1
    while first <= last:
        quoted = first < last and tokens[first] == tokens[last] and tokens[first] in _QUOTES
        if partner.get(first) == last or quoted:
            first, last = first + 1, last - 1
        elif tokens[last] == "," or (tokens[last] == "." and not tokens[last - 1].endswith(".")):
            last -= 1
        elif tokens[first] == ",":
            first += 1
        else:
            break
    return tokens[first : last + 1]


def _claim(tokens: list[str]) -> Fraction:
    """Evaluate a statement: the value that it assigns to something, or that it is."""
    tokens = _unwrapped(_unconditional(tokens))
    outer = [token for token, depth in _depths(tokens) if depth == 0]
    if not {UNREADABLE, "<"}.isdisjoint(outer) or UNREADABLE in tokens:
        raise NotAnIntegerError
    if not {"=", CONGRUENT, GIVES}.isdisjoint(outer) and "," in outer:
        raise NotAnIntegerError
    premises = _split(tokens, GIVES)
    if len(premises) > 2:
        raise NotAnIntegerError
    return _solution(_split(premises[-1], "=", CONGRUENT), modular=not {"mod", CONGRUENT}.isdisjoint(tokens))


def _solution(sides: list[list[str]], *, modular: bool) -> Fraction:
    """Return the value of the last side of an equation, or of the one before it if the last is a name (`42 = n`).

    The other sides that are numbers must be equal to it, unless the equation is `modular`.
    """
    if len(sides) > 1 and _is_name(sides[-1]):
        sides = sides[:-1]
    if any(UNIT in side for side in sides[1:-1]):  # x = 3, words, y = 5
        raise NotAnIntegerError
    value = evaluate(sides[-1])
    for side in sides[:-1]:
        other = _number(side)
        if other is None and not _is_label(side):
            raise NotAnIntegerError
        if other is not None and other != value and not modular:
            raise NotAnIntegerError
    return value


def _is_label(side: list[str]) -> bool:
    """Whether this may be the left side of an assignment, and not a value followed by a remark (`42: n = 4`)."""
    words = [token.lower() for token in side if token.isalpha() and len(token) > 1 and token != "mod"]
    if words and changes_value(words):
        return False
    first = next((token for token in side if token not in {"+", "-"}), "")
    remark = first[:1].isdecimal() and not {UNIT, LABEL}.isdisjoint(side)
    return ":" not in side[:-1] and not remark and not _is_unsolved(side)


def _is_unsolved(side: list[str]) -> bool:
    r"""Whether this is one variable under an operation (`2x`, `x + 1`, `\log x`), or a list of numbers.

    An expression in several variables counts as the name of the quantity in question.
    """
    if not {UNIT, LABEL, "mod"}.isdisjoint(side):
        return False
    if "," in side and any(token[1:].isalpha() for token in side):  # such as a greatest common divisor
        return False
    outer = _without_arguments(side)
    named = [token for token in outer if token.isalpha() or token in _SYMBOLS]
    variables = set(named)
    if not variables:
        return "," in side and not any(token.isalpha() or token[1:].isalpha() for token in side)
    name = variables.pop()
    if (
        variables
        or (len(named) > 1 and "_" in side)
        or (len(name) > 1 and name not in _SYMBOLS)
        or (name in _FUNCTIONS and "(" in side)
    ):
        return False
    commands = {token for token in outer if token.startswith("\\") and token[1:].isalpha()}
    known = commands <= _CHANGING | _SYMBOLS | _OPENING | _CLOSING
    return known and any(token in _CHANGING or token[0].isdecimal() for token in outer)


def _without_arguments(side: list[str]) -> list[str]:
    """Drop indices and function arguments: `f` for `f(3)`, `a` for `a_{10}`."""
    kept: list[str] = []
    skipped_to = 0  # the depth at which the argument being skipped ends; 0 while none is
    depth = 0
    before = ""
    for token in side:
        depth -= token in _CLOSING
        if skipped_to and depth < skipped_to:
            skipped_to = 0
        elif not skipped_to:
            if token in _OPENING and (before == "_" or (token == "(" and (before.isalpha() or before == "'"))):
                skipped_to = depth + 1
            elif before != "_":
                kept.append(token)
        depth += token in _OPENING
        before = token
    return [token for token in kept if token not in {"_", "(", ")", "{", "}"}]


def _number(tokens: list[str]) -> Fraction | None:
    try:
        return evaluate(tokens)
    except NotAnIntegerError:
        return None


def _unconditional(tokens: list[str]) -> list[str]:
    """Return the tokens before the condition, if there is one."""
    if CONDITION not in tokens:
        return tokens
    start = tokens.index(CONDITION)
    tail = tokens[start + 1 :]
    if start and tokens[start - 1] == "(" and tail[-1:] == [")"]:
        start, tail = start - 1, tail[:-1]
    if not tail or CONDITION in tail or UNREADABLE in tail:
        raise NotAnIntegerError
    for part in _split(tail, ",")[1:]:  # another case, if it is not another condition
        if any(token[0].isdecimal() for token in part) and {"=", "<"}.isdisjoint(part):
            raise NotAnIntegerError
    return tokens[:start]


def _depths(tokens: list[str]) -> Iterator[tuple[str, int]]:
    """Yield each token with its nesting depth in parentheses of any kind. Raises NotAnIntegerError if unbalanced."""
    depth = 0
    for token in tokens:
        depth -= token in _CLOSING
        if depth < 0:
            raise NotAnIntegerError
        yield token, depth
        depth += token in _OPENING
    if depth:
        raise NotAnIntegerError


def _split(tokens: list[str], *separators: str) -> list[list[str]]:
    """Split at separators outside parentheses."""
    parts: list[list[str]] = [[]]
    for token, depth in _depths(tokens):
        if token in separators and depth == 0:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts


def _is_name(tokens: list[str]) -> bool:
    """Whether these are variables, perhaps with an index or arguments: `n`, `ABC`, `a_{10}`, `f(3)`, `|S|`, `m + n`."""
    outer = [token for token, depth in _depths(tokens) if depth == 0]
    indices = {place + 1 for place, token in enumerate(outer) if token == "_"}
    words = [token.lower() for token in outer if token.isalpha() and len(token) > 1]
    if words and changes_value(words):
        return False
    named = any(token.isalpha() or token in _SYMBOLS for token in outer)
    return named and all(
        token.isalpha() or token in _SYMBOLS or token in _IN_NAMES or (place in indices and token.isdecimal())
        for place, token in enumerate(outer)
    )
