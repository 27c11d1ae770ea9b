"""Equations, and an independent evaluation of whatever the reader of LaTeX takes for arithmetic."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.latex.arithmetic import MAX_DIGITS
from agent.latex.integer import parse_integer


@pytest.mark.parametrize(
    ("latex", "value"),
    [
        *[("x = 42", 42), ("73 = n", 73), ("73 = f(3)", 73), ("73 = a_{10}", 73), ("73 = ABC", 73), ("f(3) = 42", 42)],
        *[("a + b = 42", 42), ("m+n = 12+30 = 42", 42), ("x = 42 = 6 \\cdot 7", 42), ("N = 42 = n", 42)],
        *[("ABC = 42", 42), ("x_{1,2} = 42", 42), (r"\sum_{i < j} a_{ij} = 42", 42), ("(a, b) = 42", 42)],
        *[(r"n \equiv 3 \pmod 7", 3), (r"-1 \equiv 6 \pmod{7}", 6), (r"1042 \equiv 42 \pmod{1000}", 42)],
        *[(r"2^{100} \equiv 376", 376), (r"n=4 \text{ gives } 42", 42), (r"2n = 84 \implies n = 42", 42)],
        *[(r"\begin{aligned} x &= 12 + 30 \\ &= 42 \end{aligned}", 42), (r"\begin{aligned}73\end{aligned}", 73)],
        *[(r"\text{Answer}: 42", 42), (r"\textbf{Area}: 42", 42), (r"The answer is $42$.", 42), ("N := 42", 42)],
        *[("42 : n = 4", None), (r"42 \mid n = 4", None), (r"42 \text{ ways } n = 4", None), ("42 .. = n", None)],
        *[(r"42\text{.}", 42), (r"42\text{}", 42), (r"\text{\$}42", 42), (r"n = 3\text{, } m = 5", None)],
        *[
            (r"1\text{,}5", None),
            (r"12\text{:}30", None),
            ("42 ..", None),
            ("42.. ", None),
            (r"\text{ratio}: 3:4", None),
        ],
        *[
            ("42 = |S|", 42),
            (r"42 = \angle ABC", 42),
            ("42 = m + n", 42),
            (r"42 = \lambda_1", 42),
            (r"42 = \gcd(a, b)", 42),
        ],
        *[("42 = 2n", None), ("42 = n!", None), ("42 = n^2", None), ("42 = n + 1", None), ("42 = 3 = n", None)],
        *[(r"3 = \pi", None), ("x = n", None), ("42 = _1", None), ("42 = ()", None)],
        *[("n = 5, m = 7", None), ("n = 4, 42", None), ("4, n = 42", None), ("a, b = 42", None), ("n = m", None)],
        *[
            ("5 = x + 2", None),
            ("42 = n, 43 = m", None),
            ("7 = 42", None),
            ("x = 3 = 4", None),
            ("x = 41.7 = 42", None),
        ],
        *[(r"k \le 73", None), ("x > 5", None), (r"n \ne 3", None), (r"\approx 42", None), (r"\pm 5", None)],
        *[("73 \\leq n", None), ("x > y = 42", None), (r"n \in 42", None), (r"n \to 42", None), (r"42 \mid n", None)],
        *[
            (r"x = \pm 5", None),
            (r"x \approx 41.7 = 42", None),
            ("3:42", None),
            ("n=3: 42", None),
            (r"n \neq 4 = m", None),
        ],
        *[(r"\begin{cases} 42 \\ 43 \end{cases}", None), (r"\overline{123}", None), (r"\overline{abc}", None)],
    ],
)
def test_an_equation_gives_one_value_or_none(latex: str, value: int | None) -> None:
    assert parse_integer(latex) == value


@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from([r"\binom{#}{@}", r"\dbinom{#}{@}", r"{# \choose @}"]))
def test_binomial_coefficients(above: int, below: int, form: str) -> None:
    latex = form.replace("#", str(above)).replace("@", str(below))
    assert parse_integer(latex) == parse_integer(f"({latex})") == math.comb(above, below)
    assert parse_integer(f"2 \\cdot {latex} - 1") == (
        None if latex[-7:] == "choose" else 2 * math.comb(above, below) - 1
    )


@pytest.mark.parametrize(
    ("latex", "value"),
    [
        *[(r"\binom52", 10), (r"\tbinom{10}3", 120), (r"\binom{-1}{2}", None), (r"\binom{5}{-1}", None)],
        *[(r"\binom{1/2}{2}", None), (r"\binom{10^{6}}{5*10^5}", None), (r"\binom{10^{300}}{3}", None)],
        *[(r"\binom{10^{100}}{10^{100} - 1}", 10**100), (r"\binom{5}", None), (r"5 \choose", None)],
        *[(r"\sqrt{49}", 7), (r"\sqrt49", None), (r"\sqrt{\frac{49}{4}} \cdot 2", 7), (r"\sqrt{50}", None)],
        *[(r"\lfloor 7/2 \rfloor", 3), (r"\left\lceil \frac{7}{2} \right\rceil", 4), (r"\lfloor -7/2 \rfloor", -4)],
        *[
            (r"\lfloor 7/2 \rceil", None),
            ("42_{10}", 42),
            ("101_2", None),
            (r"101_{\text{two}}", None),
            ("42_{12}", None),
        ],
        *[(r"\boxed{**73**}", 73), ("`73`", 73), ('"73"', 73), ("**73*", None), ("2**3", None), ("42\u200b", 42)],
        *[(r"73 \text{ (mod } 1000)", 73), (r"1073 \text{ (mod } 1000\text{)}", 73), (r"73 \text{ modulo } 70", 3)],
        *[(r"5\%^2", None), (r"42 \text{ cm}^2", 42), (r"(3 \text{ cm})^2", 9)],
    ],
)
def test_more_arithmetic(latex: str, value: int | None) -> None:
    assert parse_integer(latex) == value


Term = tuple[str, Fraction]
OPERATORS: list[tuple[list[str], Callable[[Fraction, Fraction], Fraction]]] = [
    (["+"], operator.add),
    (["-", "\u2212"], operator.sub),
    ([r"\cdot", r"\times", "*", "\u00d7"], operator.mul),
    (["/", r"\div"], operator.truediv),
]


@st.composite
def combined(draw: st.DrawFn, inner: st.SearchStrategy[Term]) -> Term:
    (left, a), (right, b) = draw(inner), draw(inner)
    spellings, operate = draw(st.sampled_from(OPERATORS))
    opening, closing = draw(st.sampled_from([("(", ")"), (r"\left(", r"\right)"), ("{", "}")]))
    if operate is operator.truediv and b == 0:
        return f"{opening}{left}{closing}", a
    if operate is operator.truediv and draw(st.booleans()):
        return rf"\frac{{{left}}}{{{right}}}", a / b
    sign = draw(st.sampled_from(spellings))
    return f"{opening}{left}{closing} {sign} {opening}{right}{closing}", operate(a, b)


terms = st.recursive(
    st.integers(-99_999, 99_999).map(lambda value: (f"{value}", Fraction(value))),
    combined,
    max_leaves=6,
)


@given(terms)
def test_arithmetic_agrees_with_exact_fractions(term: Term) -> None:
    latex, value = term
    assert parse_integer(latex) == (value.numerator if value.denominator == 1 else None)


SOUP = [
    "0",
    "1",
    "2",
    "7",
    "12",
    "3.0",
    "0.5",
    "+",
    "-",
    "*",
    "/",
    "(",
    ")",
    "{",
    "}",
    r"\cdot ",
    r"\times ",
    r"\mathbf{",
    "=",
]


def evaluated(soup: str) -> Fraction | None:
    """What Python makes of it."""
    python = re.sub(r"\d+\.?\d*", r"Fraction('\g<0>')", soup.replace(r"\mathbf{", "("))
    python = python.replace("{", "(").replace("}", ")").replace(r"\cdot", "*").replace(r"\times", "*")
    try:
        value = eval(python, {"Fraction": Fraction})
    except (SyntaxError, TypeError, AttributeError, ZeroDivisionError):
        return None
    return value if isinstance(value, Fraction) else None


# Double stars are bold type.
soups = st.lists(st.sampled_from(SOUP), max_size=12).map(lambda signs: re.sub(r"\*+", "*", "".join(signs)))


@given(soups)
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_a_soup_of_signs_is_read_as_python_reads_it_or_not_at_all(soup: str) -> None:
    value = parse_integer(soup)
    *others, last = soup.split("=")
    assert value is None or evaluated(last) == value
    assert value is None or all(parse_integer(other) in {None, value} for other in others)


@given(st.integers(0, 10**4), st.integers(0, 10**4))
def test_binomials_are_exact_or_none(above: int, below: int) -> None:
    value = math.comb(above, below)
    assert parse_integer(rf"\binom{{{above}}}{{{below}}}") == (value if value < 10**MAX_DIGITS else None)
