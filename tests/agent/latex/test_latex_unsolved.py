"""Equations that are not solved for what they name, and numbers that can be read in two ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.latex.integer import parse_integer

UNSOLVED = [
    *["3x", "x/2", "-x", r"\log x", "x^2", "2x", "x+1", "1 - x", r"\frac{x}{2}", r"\sqrt{x}", r"\sqrt{n + 1}", "n!"],
    *[r"\log_2 x", r"\ln(x)", r"2 \cdot n", r"(x+1)^2", "x^{3}", r"\sin x", r"2\theta", r"\theta^2", "2 a_1", "3x_2"],
    *[r"\frac{3x}{4}", r"x \div 2", "x_1 + 1", r"\{1,2\}", "{1,2}", "(1,2)", "1,2"],
]
QUANTITIES = [
    *["x", "N", "a+b", "m+n", "f(3)", r"\angle ABC", "ABC", "x_1 + x_2", "|S|", r"\lfloor x \rfloor", "2a+b", "100m+n"],
    *["a_{10}", "a_{n+1}", "f(-3)", "f'(3)", "f^{-1}(3)", r"N \bmod 1000", r"\frac{m}{n}", "AB^2", "x^2 + y^2", "xy"],
    *[
        r"\sum_{k=1}^{10} a_k",
        r"\text{Area of } 2x",
        "(a, b)",
        r"\gcd(a, b)",
        r"2^{10000}",
        r"\alpha",
        "p(2)",
        "S_{12}",
    ],
    *[r"\max(x, 1)", "[ABC]", r"\log(xy)", "x_{1,2}", "P(X)", ""],
]
values = st.integers(13, 10**6)


@given(values, st.sampled_from(UNSOLVED))
def test_an_equation_that_is_not_solved_for_its_variable_gives_none(value: int, left: str) -> None:
    assert parse_integer(f"{left} = {value}") is None


@given(values, st.sampled_from(QUANTITIES))
def test_a_name_or_an_expression_in_more_variables_is_given_the_value(value: int, left: str) -> None:
    if left != "2^{10000}":
        assert parse_integer(f"{left} = {value}") == value
    assert parse_integer(rf"{left} \equiv {value} \pmod{{{value + 1}}}") == value


@pytest.mark.parametrize(
    "latex",
    [
        *["2024-01-05", "05-01-2024", "2024 - 01", "12 + 05", "~~42~~", "x = ~~42~~", "~~41~~ 42", "10.000", "1.000"],
        *["123.000", "x = 42.000", r"42.000 \text{ cm}"],
    ],
)
def test_what_can_be_read_in_two_ways_gives_no_answer(latex: str) -> None:
    assert parse_integer(latex) is None


@pytest.mark.parametrize(
    "latex", ["42.0", "42.00", "42.0000", "042", "-042", "40 - -2", "42~~", "42~~\\text{cm}", "50 - 8"]
)
def test_what_can_be_read_in_one_way_is_read(latex: str) -> None:
    assert abs(parse_integer(latex) or 0) == 42
