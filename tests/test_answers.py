from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.answers import extract_answer, last_boxed
from agent.editions import EDITIONS
from agent.latex_arithmetic import MAX_DIGITS
from agent.latex_integer import MAX_CHARS, parse_integer

AIMO1, AIMO2, AIMO3 = EDITIONS["aimo1"], EDITIONS["aimo2"], EDITIONS["aimo3"]

SEPARATORS = [",", "{,}", r",\!", r"\,", r"{\,}", r"\;", r"\:", r"\!", "\\ ", " ", "~", "\u00a0", "\u2009"]

SPELLINGS: list[Callable[[int], str]] = [
    str,
    lambda value: f"{value}.",
    lambda value: f"{value}.000",
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
    *[r"\sum_{k=1}^{10} a_k = #", r"|S| = 2^3 \cdot 5 = #", r"N \equiv #", "= #"],
]

integers = st.one_of(st.integers(-1_000, 99_999), st.integers(-(10**30), 10**30))
spellings = st.one_of(
    st.sampled_from(SPELLINGS),
    st.sampled_from(SEPARATORS).map(lambda separator: lambda value: f"{value:,}".replace(",", separator)),
)

FRAGMENTS = [
    *[r"\boxed{", r"\boxed", r"\fbox{", r"\frac", r"\frac{", r"\text{", r"\text", r"\mathbf{", r"\left("],
    *[r"\right)"],
    *["^", "_", "{", "}", "(", ")", r"\{", r"\}", "+", "-", "*", "/", "!", "=", ",", ".", "%", "$", r"\$"],
    *["&", ";"],
    *[r"\pmod{", r"\bmod", "mod", r"\cdot", r"\times", r"^\circ", r"\(", r"\)", r"\,", r"\!", "\\\\"],
    *["\\ ", "\\"],
    *["0", "1", "3", "42", "007", "1,234", "1000", "9" * 50, "9^{9^{9}}", "10!", "x", "or", " ", "\n"],
    *["\u2212", "\u00b2", "\u0664", "\x00", "\ud800"],
]
latex_soup = st.lists(st.sampled_from(FRAGMENTS), max_size=60).map("".join)
any_text = st.one_of(st.text(st.characters()), latex_soup)


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
        *["x+1", "42x", "42 x", r"2\pi", r"2\sqrt{3}", r"\sqrt{16}", "5i", "1e5", "0x10", "2(3)"],
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
def test_what_is_no_integer_is_none(latex: str) -> None:
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


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("no box", None),
        ("", None),
        (r"\boxed{}", ""),
        (r"\boxed{5}", "5"),
        (r"\boxed {5}", "5"),
        ("\\boxed\n{5}", "5"),
        (r"\fbox{5}", "5"),
        (r"\\boxed{5}", "5"),
        (r"a \\\boxed{5}", "5"),
        (r"\boxed{1} then \boxed{2}.", "2"),
        (r"\boxed{1} then \boxed{2", "1"),
        (r"\boxed{1} then \boxed{\frac{1}{2}", "1"),
        (r"put it in \boxed{ so: \boxed{7} ", "7"),
        (r"\boxed{\boxed{42}}", r"\boxed{42}"),
        (r"\boxed{\frac{a}{b^{2}}} rest }", r"\frac{a}{b^{2}}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{\}}", r"\}"),
        (r"{ a { b \boxed{3} c", "3"),
        (r"} } \boxed{3}", "3"),
        (r"\boxed 5", None),
        (r"\boxedup{5}", None),
        (r"\boxed\{5\}", None),
    ],
)
def test_last_boxed(text: str, content: str | None) -> None:
    assert last_boxed(text) == content


balanced = st.recursive(
    st.sampled_from(["", "a", "42", r"\{", r"\}", r"\frac", "\\\\", "\n", r"\alpha "]),
    lambda inner: st.one_of(inner.map("{{{}}}".format), st.tuples(inner, inner).map("".join)),
    max_leaves=12,
)


@given(balanced, any_text, st.text(st.characters(exclude_characters="{}\\")))
def test_a_balanced_box_is_found_whole(content: str, before: str, after: str) -> None:
    # The space keeps a backslash at the end of `before` away from the box.
    assert last_boxed(f"{before} \\boxed{{{content}}}{after}") == content


@given(balanced, st.text(st.characters(exclude_characters="}")))
def test_an_unclosed_box_hides_nothing(content: str, tail: str) -> None:
    assert last_boxed(f"\\boxed{{{content}}} and \\boxed{{{tail}") == content


@given(any_text)
def test_no_input_raises(text: str) -> None:
    last_boxed(text)
    parse_integer(text)
    for edition in EDITIONS.values():
        for source in (text, f"\\boxed{{{text}}}"):
            answer = extract_answer(source, edition)
            assert answer is None or 0 <= answer <= edition.max_answer


@given(integers, any_text)
def test_a_modulus_leaves_a_residue_that_is_never_negative(value: int, before: str) -> None:
    for edition in (AIMO1, AIMO2):
        answer = extract_answer(rf"{before} \boxed{{{value}}}", edition)
        assert answer is not None
        assert 0 <= answer <= 999
        assert (answer - value) % 1000 == 0


@given(integers, any_text)
def test_without_a_modulus_the_range_decides(value: int, before: str) -> None:
    expected = value if 0 <= value <= 99_999 else None
    assert extract_answer(rf"{before} \boxed{{{value}}}", AIMO3) == expected


@pytest.mark.parametrize(
    ("text", "aimo2", "aimo3"),
    [
        (r"\boxed{-900}", 100, None),
        (r"\boxed{100000}", 0, None),
        (r"\boxed{99{,}999}", 999, 99_999),
        (r"\boxed{2^{100}}", 376, None),
        (r"\boxed{0}", 0, 0),
        (r"\boxed{}", None, None),
        (r"\boxed{1} or \boxed{x}", None, None),
        ("The final answer is 5.", None, None),
        ("**Final answer**: $5$", None, None),
        ("", None, None),
    ],
)
def test_extract_answer(text: str, aimo2: int | None, aimo3: int | None) -> None:
    assert extract_answer(text, AIMO2) == extract_answer(text, AIMO1) == aimo2
    assert extract_answer(text, AIMO3) == aimo3
