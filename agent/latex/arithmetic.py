"""Evaluate arithmetic written in LaTeX exactly."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from fractions import Fraction

from agent.latex.words import MARK, ORDINALS, UNIT

MAX_TOKENS = 64  # in one expression; bounds the work and the recursion of the reader
MAX_DIGITS = 640  # the longest number that Python converts whatever its limit on digits is set to
_LIMIT = 10**MAX_DIGITS
_PADDED = re.compile(r"0\d")


class NotAnIntegerError(Exception):
    """The LaTeX does not represent an integer."""


def evaluate(tokens: Sequence[str]) -> Fraction:
    """Evaluate the tokens of `latex_tokens` to a fraction. Raises NotAnIntegerError if they have no value.

    No intermediate number may have more than `MAX_DIGITS` digits.
    """
    return _Reader(tokens).read()


class _Reader:
    """A recursive-descent parser of integer arithmetic; each method parses what its name says, or raises."""

    def __init__(self, tokens: Sequence[str]) -> None:
        if len(tokens) > MAX_TOKENS:
            raise NotAnIntegerError
        self._tokens = list(tokens)
        self._next = 0

    def read(self) -> Fraction:
        """Evaluate all tokens."""
        value = self._value()
        if self._next < len(self._tokens):
            raise NotAnIntegerError
        return value

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else ""

    def _take(self, *wanted: str) -> str:
        """Consume and return the next token if it is one of those wanted; else return ""."""
        token = self._peek()
        if token not in wanted:
            return ""
        self._next += 1
        return token

    def _expect(self, wanted: str) -> None:
        if not self._take(wanted):
            raise NotAnIntegerError

    def _value(self) -> Fraction:
        value = self._sum()
        if self._take("\\choose"):
            value = _binomial(value, self._sum())
        if ordinal := self._take(*ORDINALS):
            _check_ordinal(value, ordinal)
        self._skip_units()
        if self._take("mod"):
            value = _residue(value, self._sum())
        elif self._take("("):  # implicit products are not accepted, so this can only be `(mod m)` or `(units)`
            if self._take("mod"):
                value = _residue(value, self._sum())
            elif self._peek() == UNIT:
                self._skip_units()
            else:
                raise NotAnIntegerError
            self._expect(")")
        self._skip_units()
        return value

    def _skip_units(self) -> None:
        while unit := self._take(UNIT, MARK, "/"):
            if unit == "/":
                self._expect(UNIT)
            if unit != MARK and self._take("^"):
                self._atom()

    def _sum(self) -> Fraction:
        total = self._term()
        while self._peek() in {"+", "-"}:
            if _PADDED.match("".join(self._tokens[self._next + 1 : self._next + 2])):  # a date: 2024-01-05
                raise NotAnIntegerError
            total = _bounded(total + self._term())
        return total

    def _term(self) -> Fraction:
        sign = 1
        while operator := self._take("+", "-"):
            sign = -sign if operator == "-" else sign
        return sign * self._product()

    def _product(self) -> Fraction:
        value = self._factor()
        while operator := self._take("*", "/"):
            factor = self._factor()
            value = _bounded(value * factor) if operator == "*" else _quotient(value, factor)
        return value

    def _factor(self) -> Fraction:
        value = self._atom()
        if self._take("_"):  # only base ten is accepted
            if self._atom() != 10:
                raise NotAnIntegerError
            return value
        if self._take("!"):
            value = _factorial(value)
        if self._take("^"):
            return self._raised(value)
        return value

    def _raised(self, base: Fraction) -> Fraction:
        """Parse a power, or an ordinal whose ending is typeset as one."""
        start = self._next
        braced = self._take("{")
        if ordinal := self._take(*ORDINALS):
            if braced:
                self._expect("}")
            _check_ordinal(base, ordinal)
            return base
        self._next = start
        return _power(base, self._atom())

    def _atom(self) -> Fraction:
        if operator := self._take("\\frac", "\\binom", "\\sqrt"):
            return self._command(operator)
        if opening := self._take("{", "("):
            value = self._value()
            self._expect("}" if opening == "{" else ")")
            return value
        if opening := self._take("\\lfloor", "\\lceil"):
            value = self._sum()
            self._expect("\\rfloor" if opening == "\\lfloor" else "\\rceil")
            return Fraction(math.floor(value) if opening == "\\lfloor" else math.ceil(value))
        token = self._peek()
        if not token[:1].isdecimal() or len(token) > MAX_DIGITS:
            raise NotAnIntegerError
        self._next += 1
        return Fraction(token.removesuffix("."))

    def _command(self, name: str) -> Fraction:
        first = self._argument()
        if name == "\\sqrt":
            return _root(first)
        second = self._argument()
        return _quotient(first, second) if name == "\\frac" else _binomial(first, second)

    def _argument(self) -> Fraction:
        r"""Parse a group, or one digit as in TeX: `\frac84`."""
        token = self._peek()
        if len(token) > 1 and token.isdecimal():
            self._tokens[self._next] = token[1:]
            return Fraction(token[0])
        return self._atom()


def _bounded(value: Fraction) -> Fraction:
    if max(abs(value.numerator), value.denominator) >= _LIMIT:
        raise NotAnIntegerError
    return value


def _whole(value: Fraction) -> int:
    if value.denominator != 1:
        raise NotAnIntegerError
    return value.numerator


def _quotient(dividend: Fraction, divisor: Fraction) -> Fraction:
    if divisor == 0:
        raise NotAnIntegerError
    return _bounded(dividend / divisor)


def _residue(value: Fraction, modulus: Fraction) -> Fraction:
    if modulus <= 0:
        raise NotAnIntegerError
    return Fraction(_whole(value) % _whole(modulus))


def _factorial(value: Fraction) -> Fraction:
    if not 0 <= value <= MAX_DIGITS:  # more than enough: 400! already exceeds the limit
        raise NotAnIntegerError
    return _bounded(Fraction(math.factorial(_whole(value))))


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    whole, times = _whole(base), _whole(exponent)
    # A number of b bits is at least 2^(b-1): powers far above the limit are never computed.
    if times < 0 or (whole.bit_length() - 1) * times > _LIMIT.bit_length():
        raise NotAnIntegerError
    return _bounded(Fraction(whole**times))


def _binomial(above: Fraction, below: Fraction) -> Fraction:
    n, k = _whole(above), _whole(below)
    if n < 0 or k < 0:
        raise NotAnIntegerError
    k = min(k, n - k)
    # The result is at least (n/k)^k, and n/k at least 2.
    if k > 0 and ((n // k).bit_length() - 1) * k > _LIMIT.bit_length():
        raise NotAnIntegerError
    return _bounded(Fraction(math.comb(n, k) if k >= 0 else 0))


def _root(value: Fraction) -> Fraction:
    if value < 0:
        raise NotAnIntegerError
    root = Fraction(math.isqrt(value.numerator), math.isqrt(value.denominator))
    if root * root != value:
        raise NotAnIntegerError
    return root


def _check_ordinal(value: Fraction, ending: str) -> None:
    """Check that the ending is that of the number: `2^{nd}` is an ordinal, `3^{nd}` may be a power."""
    number = _whole(value)
    regular = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number // 10 % 10 != 1 else "th"
    if ending != regular:
        raise NotAnIntegerError
