"""The box that a text's answer stands in, and the edition's rule for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.answers import extract_answer, last_boxed
from agent.editions import EDITIONS
from agent.latex.integer import parse_integer

AIMO1, AIMO2, AIMO3 = EDITIONS["aimo1"], EDITIONS["aimo2"], EDITIONS["aimo3"]

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


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("no box", None),
        ("", None),
        (r"\boxed{5}", "5"),
        (r"\boxed {5}", "5"),
        ("\\boxed\n{5}", "5"),
        (r"\fbox{5}", "5"),
        (r"\framebox{5}", "5"),
        (r"\\boxed{5}", "5"),
        (r"\\\\boxed{5}", "5"),
        (r"a \\\boxed{5}", "5"),
        ("\x08oxed{5}", "5"),
        ("\x0cbox{5}", "5"),
        (r"\boxed\{5\}", "5"),
        (r"\boxed\text{5}", "5"),
        (r"\boxed{1} then \boxed{2}.", "2"),
        (r"put it in \boxed{ so: \boxed{7} ", "7"),
        (r"\boxed{\boxed{42}}", r"\boxed{42}"),
        (r"\boxed{\frac{a}{b^{2}}} rest }", r"\frac{a}{b^{2}}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{a\}}", r"a\}"),
        (r"{ a { b \boxed{3} c", "3"),
        (r"} } \boxed{3}", "3"),
        (r"\boxedup{5}", None),
    ],
)
def test_last_boxed(text: str, content: str | None) -> None:
    assert last_boxed(text) == content


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(r"\boxed73", 73), (r"\boxed 7", 7), (r"$\boxed73$.", 73), (r"so \boxed 73.", 73), (r"\boxed73, since", 73)],
        *[(r"**\boxed73**", 73), (r"\(\boxed73\)", 73), (r"(\boxed 1,000)", 1000), (r"\boxed1\,000", 1000)],
        *[(r"\boxed{5} \boxed 2^{3}", None), (r"\boxed{5} \boxed 73 + n", None), (r"\boxed{5} \boxed7{,}000", None)],
        *[(r"\boxed{5} \boxed\frac{6}{2}", None), (r"\boxed{5} \boxed 73 \cdot 2", None)],
        *[(r"\boxed{5} \boxed73\text{ million}", None), (r"use \boxed for it", None), (r"\boxed{5} as in \boxed.", 5)],
    ],
)
def test_a_number_needs_no_braces(text: str, value: int | None) -> None:
    assert extract_answer(text, AIMO3) == value


PLACEHOLDERS = [
    *[
        "",
        " ",
        "...",
        "\u2026",
        r"\ldots",
        r"\cdots",
        r"\dots",
        r"\cdot",
        "?",
        r"\,",
        "\\ ",
        "~",
        r"\quad",
        "__",
        r"\_\_",
    ],
    *[
        r"\phantom{00}",
        r"\hspace{1cm}",
        r"\square",
        r"\text{}",
        r"\text{ }",
        "$ $",
        "-",
        "***",
        "{}",
        r"\{\}",
        r"\boxed{}",
    ],
    *["answer", "ANSWER", r"\text{answer}", r"\text{your answer}", r"\text{Final Answer}", "<answer>", "[answer here]"],
    *[r"\textbf{...}", r"\mathrm{answer}", r"\text{the final integer}"],
]
REAL = ["x^2", "x", r"\frac{1}{2}", "1, 2", r"\text{none}", r"\text{no solution}", "n = 1, m = 2", r"\infty", "8 or 9"]


@given(st.integers(0, 99_999), st.lists(st.sampled_from(PLACEHOLDERS), max_size=4))
def test_a_box_with_nothing_in_it_does_not_hide_the_one_before(value: int, placeholders: list[str]) -> None:
    others = "".join(f" I put it in \\boxed{{{content}}}." for content in placeholders)
    assert extract_answer(rf"{others} \boxed{{{value}}}{others}", AIMO3) == value
    assert last_boxed(others) is None


@pytest.mark.parametrize("content", REAL)
def test_a_box_with_something_else_than_an_integer_hides_the_one_before(content: str) -> None:
    assert extract_answer(rf"\boxed{{73}}, or rather \boxed{{{content}}}", AIMO3) is None


balanced = st.recursive(
    st.sampled_from(["", "a", "42", r"\{", r"\}", r"\frac", "\\\\", "\n", r"\alpha "]),
    lambda inner: st.one_of(inner.map("{{{}}}".format), st.tuples(inner, inner).map("".join)),
    max_leaves=12,
)


@given(balanced, any_text, st.text(st.characters(exclude_characters="{}\\")))
def test_a_balanced_box_is_found_whole(content: str, before: str, after: str) -> None:
    # The space keeps a backslash at the end of `before` away from the box.
    assert last_boxed(f"{before} \\boxed{{x{content}}}{after}") == f"x{content}"


CUT_BOXES = [
    r"\boxed",
    r"\boxed ",
    r"\boxed{",
    r"\boxed{4",
    r"\boxed{\frac{1}{2}",
    r"\fbox{\text{The",
    r"\\boxed{4\,",
    "\x08oxed{4",
]


@given(st.integers(0, 99_999), st.sampled_from(CUT_BOXES), any_text)
def test_a_box_that_is_cut_off_is_no_answer(value: int, cut: str, before: str) -> None:
    assert extract_answer(rf"{before} \boxed{{{value}}} so {cut}", AIMO3) is None


@given(st.integers(0, 99_999), st.sampled_from(["\n\nAnd $x^{2}$ again. ", r"\{1, 2\} "]), st.integers(0, 9))
def test_a_forgotten_brace_withdraws_what_stood_before_but_not_what_follows(value: int, rest: str, times: int) -> None:
    forgotten = rf"\boxed{{{value + 1}}} or \boxed{{{value + 2}. {rest * times}"
    assert extract_answer(forgotten, AIMO3) is None
    assert extract_answer(rf"{forgotten} No: \boxed{{{value}}}. {rest}", AIMO3) == value


@given(any_text)
def test_no_input_raises(text: str) -> None:
    last_boxed(text)
    parse_integer(text)
    for edition in EDITIONS.values():
        for source in (text, f"\\boxed{{{text}}}"):
            answer = extract_answer(source, edition)
            assert answer is None or 0 <= answer <= edition.max_answer


@given(st.integers(), any_text)
def test_a_modulus_leaves_a_residue_that_is_never_negative(value: int, before: str) -> None:
    for edition in (AIMO1, AIMO2):
        answer = extract_answer(rf"{before} So: \boxed{{{value}}}", edition)
        assert answer is not None
        assert 0 <= answer <= 999
        assert (answer - value) % 1000 == 0


@given(st.integers(), any_text)
def test_without_a_modulus_the_range_decides(value: int, before: str) -> None:
    expected = value if 0 <= value <= 99_999 else None
    assert extract_answer(rf"{before} So: \boxed{{{value}}}", AIMO3) == expected


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
        (r"\\boxed{\\frac{84}{2} \\text{ cm}}", 42, 42),
        ("\x08oxed{\x0crac{84}{2}\text{ cm}}", 42, 42),
        (r"**\boxed{**42**}**", 42, 42),
    ],
)
def test_extract_answer(text: str, aimo2: int | None, aimo3: int | None) -> None:
    assert extract_answer(text, AIMO2) == extract_answer(text, AIMO1) == aimo2
    assert extract_answer(text, AIMO3) == aimo3
