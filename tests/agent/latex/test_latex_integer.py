"""The integer that a piece of LaTeX stands for."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.latex.arithmetic import MAX_DIGITS
from agent.latex.integer import MAX_CHARS, parse_integer

SEPARATORS = [",", "{,}", r",\!", r"\,", r"{\,}", r"\;", r"\:", r"\!", "\\ ", " ", "~", "\u00a0", "\u2009"]

SPELLINGS: list[Callable[[int], str]] = [
    str,
    lambda value: f"{value}.",
    lambda value: f"{value}.00",
    lambda value: f"{value:,}.0",
    lambda value: f"{value:+d}",
    lambda value: f"{value:+06d}",
    lambda value: f"{value:08d}",
    lambda value: f"{value}".replace("-", "\u2212"),
    lambda value: f"- {-value}",
    lambda value: rf"\frac{{{value * 6}}}{{6}}",
    lambda value: rf"\dfrac{{{value * 3}}}3",
    lambda value: rf"\tfrac {{{-value}}} {{-1}}",
    lambda value: f"{value * 2}/2",
    lambda value: rf"{value} \cdot 1",
    lambda value: rf"2 \times {{{value}}} \div 2",
    lambda value: rf"\left({value} + 2\right) * 3 - 2^{{3}} - ({value} - 1) * 2 + 0! - 1",
    lambda value: f"{value - 7} + 7",
    lambda value: rf"{value} + \frac12 - \frac{{1}}{{2}}",
    lambda value: rf"{value * 10} \times 10^{{2}} / 10^3",
    lambda value: rf"{value} \bmod {abs(value) + 1}" if value >= 0 else str(value),
]

WRAPPERS = [
    *["#", " # ", "{#}", "$#$", r"\(#\)", r"\[ # \]", r"\displaystyle #", r"\text{#}", r"\textbf{ # }"],
    *[r"\mathbf{#}", r"\mathrm {#}", r"\boldsymbol{#}", r"\boxed{#}", r"\fbox {#}"],
    *[r"\underline{\mathbf{#}}", r"\color{red}{#}", r"\textcolor{blue!50}{ # }", r"\color {red} #"],
]
ENDS = ["#", r"# \quad", r"#\\", r"\quad #;", "#,"]
PARENTHESES = ["#", "(#)", r"\left(#\right)", r"\bigl( # \bigr)", r"\$#"]
UNITS = [
    *[
        "#",
        r"# \text{ cm}",
        r"#\text{ cm}^2",
        "# cm",
        "#cm^2",
        "# units",
        r"# \mathrm{~kg}",
        r"# \text{ apples and pears}",
        r"#\%",
    ],
    *["#%", r"#^\circ", r"#^{\circ}", "#\u00b0", r"#\,"],
]
EQUATIONS = [
    *["#", "x = #", "m+n=#", r"\gcd(12,18) = #", r"\text{Area} = #", r"\angle ABC = #"],
    *[r"\sum_{k=1}^{10} a_k = #", r"|S| = a \cdot b = #", r"N \equiv #", "= #"],
    *[r"2^{100} \equiv #", "# = n", "# = a_{10}", r"\text{The answer is } #", r"\text{So we get: } x = #"],
    *["The answer is #", "Answer: #", r"n = 4 \text{ gives } #", r"\begin{aligned}x &= #\end{aligned}"],
]

integers = st.one_of(st.integers(-1_000, 99_999), st.integers(-(10**30), 10**30))
spellings = st.one_of(
    st.sampled_from(SPELLINGS),
    st.sampled_from(SEPARATORS).map(lambda separator: lambda value: f"{value:,}".replace(",", separator)),
)


@given(st.text("0123456789", min_size=1, max_size=30))
def test_digits_alone_are_read_as_they_are_in_braces(digits: str) -> None:
    assert parse_integer(digits) == parse_integer(f"{{{digits}}}") == int(digits)


@given(integers, spellings, st.data())
def test_every_dress_of_an_integer_is_read(value: int, spell: Callable[[int], str], data: st.DataObject) -> None:
    latex = spell(value)
    for templates in (WRAPPERS, PARENTHESES, WRAPPERS, UNITS, EQUATIONS, WRAPPERS, ENDS, WRAPPERS):
        latex = data.draw(st.sampled_from(templates)).replace("#", latex)
    assert parse_integer(latex) == value


@pytest.mark.parametrize(
    ("latex", "value"),
    [
        (r"\frac 84", 2),
        (r"\frac{\frac{84}{2}}{\frac12}", 84),
        ("2^10", 1024),
        ("-2^2", -4),
        ("2 - 3 - 4", -5),
        ("2 + 3 \\cdot 4", 14),
        ("84 / 2 / 2", 21),
        ("10!/8!", 90),
        (r"1042 \pmod{1000}", 42),
        (r"-1 \bmod 7", 6),
        (r"2^{10} + 1 \mod 7", 3),
        ("42 (mod 1000)", 42),
        (r"x \equiv 42 \ (\text{mod } 1000)", 42),
        ("-0", 0),
        ("\uff14\uff12", 42),  # full-width digits
    ],
)
def test_arithmetic(latex: str, value: int) -> None:
    assert parse_integer(latex) == value


@pytest.mark.parametrize(
    "latex",
    [
        *["", " ", "?", "{}", "()", "$", "-", "+", ".", "!", "=", "42 =", "x", r"\pi", r"\infty"],
        *[r"\text{none}"],
        *[r"\frac{1}{2}", "1/2", "12.5", ".", "0.001", r"\frac{1}{0}", "1/0", r"\frac{84}", r"\frac"],
        *["5 \\bmod 0"],
        *["x+1", "42x", "42 x", r"2\pi", r"2\sqrt{3}", r"\sqrt{15}", r"\sqrt{-4}", "5i", "1e5", "0x10", "2(3)"],
        *[r"3\frac12"],
        *["1 or 2", "3, 5", "1,2", "1;2", "(1, 2)", r"\{42\}", "[1,5]", "1,2,3", "1,23", "1,2345", "0,123"],
        *[";", r"\\", r"\color{red}", r"3 \quad 5 \quad", r"\color{red}{3}, \color{blue}{5}"],
        *["1,234 567", "1.234.567", "4 2", r"4\,2", "12 34", r"42 \text{ or } 43", r"\text{about } 42"],
        *["x = 3, y = 5", r"x = 3 \text{ or } x = 5", "x = 3 or x = 5", r"x=3 \quad y=5", r"x=3 \\ y=5"],
        *[r"x \ge 42", "x <= 42", "x != 42", r"x \ne 42", r"x \not= 42", r"x \approx 42", r"\pm 5", "x > 42"],
        *["42...", r"42\ldots", "3!!", "(-3)!", "(1/2)!", "2^{-1}", "2^{1/2}", "2^3^2", "5\u00b2"],
        *["\u00bd", "3\u20135"],
        *["(42", "42)", "{42", "42}", "{42)", "42^", "42+", r"\left(42", "((42)", "42 mod", "42 (7)"],
        *["10**5", "--", "9^{9^{9}}", "9^{9^{9^{9}}}", "10^{640}", "1000!", "9999999999!"],
        *["10^{400} * 10^{400}"],
        *[r"42 \text{ million}", "42 million", "42 m"],
    ],
)
def test_what_is_not_an_integer_gives_no_answer(latex: str) -> None:
    assert parse_integer(latex) is None


@given(st.integers(2, 99_999), st.integers(2, 99_999))
def test_a_fraction_is_read_only_if_it_is_whole(numerator: int, denominator: int) -> None:
    expected = None if numerator % denominator else numerator // denominator
    for latex in (rf"\frac{{{numerator}}}{{{denominator}}}", f"{numerator}/{denominator}"):
        assert parse_integer(latex) == expected


@given(
    st.lists(st.integers(0, 10**6), min_size=2, max_size=5),
    st.sampled_from([", ", ";", " or ", r",\ ", r" \\ "]),
)
def test_a_list_is_no_integer(values: list[int], separator: str) -> None:
    assert parse_integer(separator.join(map(str, values))) is None


@given(st.integers(1, MAX_DIGITS + 300), st.sampled_from("0123456789"))
def test_long_numbers_are_read_up_to_a_bound(digits: int, digit: str) -> None:
    assert parse_integer(digit * digits) == (int(digit * digits) if digits <= MAX_DIGITS else None)


@given(st.integers(-40, 40), st.integers(0, 3_000))
def test_powers_are_exact_or_none(base: int, exponent: int) -> None:
    value = base**exponent
    assert parse_integer(f"({base})^{{{exponent}}}") == (value if abs(value) < 10**MAX_DIGITS else None)


@given(st.integers(0, 500))
def test_factorials_are_exact_or_none(n: int) -> None:
    value = math.factorial(n)
    assert parse_integer(f"{n}!") == (value if value < 10**MAX_DIGITS else None)


def test_deep_nesting_is_no_recursion_error() -> None:
    assert parse_integer("{" * 1_000 + "42" + "}" * 1_000) == 42
    assert parse_integer(r"\boxed{" * 1_000 + "42" + "}" * 1_000) == 42
    assert parse_integer("(" * 4_000 + "42" + ")" * 4_000) is None
    assert parse_integer(r"\frac" * 2_000) is None
    assert parse_integer("-" * 9_000 + "42") is None
    assert parse_integer("x" * MAX_CHARS + "= 42") is None
