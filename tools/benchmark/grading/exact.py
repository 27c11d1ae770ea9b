"""Distinguish values that math-verify takes for equal because it compares a limited number of decimals."""

from __future__ import annotations

from itertools import count
from typing import Any

import sympy  # type: ignore[import-untyped]

_DIGITS = 60  # to which two irrational numbers must agree
_BOUND = sympy.Rational(1, 10 ** (_DIGITS - 10))


def surely_differ(one: Any, other: Any) -> bool:
    """Whether two sympy objects differ in a number, at any decimal; also False if that is undecided.

    Decimals count as the fractions that they are: 0.333 is not 1/3.
    """
    if isinstance(one, sympy.Eq) and isinstance(other, sympy.Eq) and one.lhs != other.lhs:
        return False  # two forms of an equation
    one, other = _value(one), _value(other)
    if isinstance(one, sympy.MatrixBase) and isinstance(other, sympy.MatrixBase):
        return bool(one.shape != other.shape) or any(map(surely_differ, one, other))
    if isinstance(one, sympy.Interval) and isinstance(other, sympy.Interval):
        return surely_differ(one.start, other.start) or surely_differ(one.end, other.end)
    if isinstance(one, sympy.FiniteSet) and isinstance(other, sympy.FiniteSet):
        return not (_each_has_its_like(one, other) and _each_has_its_like(other, one))
    if isinstance(one, sympy.Tuple) and isinstance(other, sympy.Tuple):
        return len(one) != len(other) or any(map(surely_differ, one, other))
    if isinstance(one, sympy.Expr) and isinstance(other, sympy.Expr):
        return _numbers_differ(one, other)
    return False


def exact(value: Any) -> Any:
    """Convert decimals to fractions, and evaluate as far as that is exact."""
    return value.replace(lambda part: part.is_Float, lambda part: sympy.Rational(str(part))).doit()


def _value(value: Any) -> Any:
    """Return the right-hand side of an equation such as `x = 3`, or of a chain of them."""
    while isinstance(value, (sympy.And, sympy.Eq)):
        value = value.args[-1] if isinstance(value, sympy.And) else value.rhs
    return value


def _each_has_its_like(one: Any, other: Any) -> bool:
    return all(any(not surely_differ(left, right) for right in other) for left in one)


def _numbers_differ(one: Any, other: Any) -> bool:
    one, other = exact(one), exact(other)
    free = sorted(one.free_symbols | other.free_symbols, key=str)
    # Two expressions that agree everywhere do so here, too; small primes apart, so that no root or pole is met.
    at = {symbol: sympy.Rational(10_007 + 30 * step, 3_001) for symbol, step in zip(free, count())}
    one, other = one.subs(at).doit(), other.subs(at).doit()
    if one.is_Rational and other.is_Rational:
        return bool(one != other)
    one, other = one.evalf(_DIGITS), other.evalf(_DIGITS)
    if not (one.is_number and other.is_number and one.is_finite and other.is_finite):
        return False
    distance, size = abs(one - other), max(abs(one), abs(other))
    return bool(distance > size * _BOUND)
