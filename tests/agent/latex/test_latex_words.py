"""Words in a box: which say what the value is, which go with it, and which make another of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.latex.integer import parse_integer

INTRODUCTIONS = [
    *[
        "The answer is ",
        "the final answer is: ",
        "Answer: ",
        "Answer",
        "There are ",
        "So we get ",
        "Total: ",
        "We have ",
    ],
    *["The number of ways is ", "The answer is equal to ", "In triangle ABC, the area equals ", "\u7b54\u6848\u662f"],
]
UNITS = [
    *["cm", " cm squared", " square units", " ways", " solutions", " triangles", " degrees", " apples and pears", " m"],
    *[
        " km/h",
        " m/s^2",
        " cm$^2$",
        " cm^2",
        " units.",
        " per cent",
        " (ways)",
        " is the answer",
        " in total",
        " \u79cd",
    ],
    *[" students, teachers", " three-digit numbers", " (by symmetry)"],
]
CONDITIONS = [
    *[r"\text{ for } n = 4", r"\text{ if } n \text{ is even}", r"\text{ when } n=4 \text{ and } m=5", " for n = 4"],
    *[r"\text{, where } m = 3, n = 4", r"\text{ with } k \le 5", r"\text{ at } x = 3", r"\text{ as } n \to \infty"],
    *[
        r" \quad \text{(since n is even)}",
        r" \quad (\text{when } n = 4)",
        r"\text{ (since } n \text{ is even)}",
        " if n > 5",
    ],
    *[r"\text{ as required}", r" \; \text{given that } a_{10} = 7"],
]
CHANGES = [
    *[
        "hundred",
        "thousand",
        "million dollars",
        "billion",
        "dozen",
        "dozen eggs",
        "squared",
        "cubed",
        "factorial",
        "times",
    ],
    *[
        "times as many",
        "minus one",
        "plus one",
        "percent of the total",
        "per cent of it",
        "of them",
        "thirds",
        "tenths",
    ],
    *[
        "base 7",
        "(base 7)",
        "in base two",
        "over five",
        "or more",
        "or so",
        "at most",
        "at least",
        "and a half",
        "pi",
        "k",
    ],
    *["mod p", "divided by two", "(approximately)", "or none", "with remainder 3", "\u4e07", "less than x", "x", "i"],
]
FALSE_STARTS = [
    *[
        "half of ",
        "twice ",
        "double ",
        "minus ",
        "negative ",
        "about ",
        "at least ",
        "The answer is not ",
        "no ",
        "up to ",
    ],
    *[
        "The answer is at most ",
        "half of the answer is ",
        "square root of ",
        "more than ",
        "if ",
        "Case ",
        "The answer may be ",
    ],
    *["Case 2: ", "For n = 4, "],
]

integers = st.integers(-1_000, 10**6).filter(lambda value: abs(value) > 9)


@given(
    integers, st.sampled_from(["", *INTRODUCTIONS]), st.sampled_from(["", *UNITS]), st.sampled_from(["", *CONDITIONS])
)
def test_words_that_leave_the_value_alone_are_read_over(value: int, before: str, unit: str, condition: str) -> None:
    before = rf"\text{{{before}}} " if before else ""
    unit = rf"\text{{{unit}}}" if unit else ""
    assert parse_integer(f"{before}{value}{unit}{condition}") == value
    assert parse_integer(f"x = {value}{unit}{condition}") == value


@given(integers, st.sampled_from(INTRODUCTIONS), st.sampled_from(UNITS))
def test_a_sentence_in_one_piece_is_read(value: int, before: str, unit: str) -> None:
    space = "" if before[-1] in " \u662f" else " "
    assert parse_integer(rf"\text{{{before}{space}{value}{unit}}}") == value


@given(integers, st.sampled_from(CHANGES), st.sampled_from(["\\text{{{}}}", "\\text{{ {}}}", "\\mathrm{{~{}}}"]))
def test_a_word_that_may_change_the_value_leaves_none(value: int, word: str, form: str) -> None:
    assert parse_integer(f"{value}{form.format(word)}") is None
    assert parse_integer(f"x = {value}{form.format(word)}") is None


@given(integers, st.sampled_from(FALSE_STARTS))
def test_a_start_that_may_change_the_value_leaves_none(value: int, start: str) -> None:
    assert parse_integer(rf"\text{{{start}}} {value}") is None
    assert parse_integer(rf"\text{{{start}{value}}}") is None


@given(
    integers, st.text(st.characters(categories=["L", "Zs"]), max_size=12), st.sampled_from(["", *CHANGES, *CONDITIONS])
)
def test_no_words_behind_a_value_make_another_of_it(value: int, words: str, more: str) -> None:
    for latex in (rf"{value}\text{{{words}}}", rf"{value}\text{{{words} {more}}}", rf"{value} {more} \text{{{words}}}"):
        assert parse_integer(latex) in {None, value}


@pytest.mark.parametrize(
    "latex",
    [
        r"42 \text{ for } n=4, 43 \text{ for } n=5",
        r"42 \text{ for } n=4, 43",
        r"42 \text{ if } n=4 \text{ and } 43 \text{ if } n=5",
        r"42 \text{ if } n=4 \text{, otherwise } 43",
        r"42 \text{ for } n=4 \text{ or } 43",
        r"\text{for } n = 4",
        r"\text{for } n=4, 42",
        r"\text{For } n=4\text{, } 42",
        r"2 (\text{for } n = 4) + 3",
        r"n \text{ if } n = 42",
        r"42 \text{ if}",
        r"x = \text{ for } 42",
        r"3 \text{ primes whose sum is } 42",
        r"42 \text{ is less than } 43",
        r"42 \text{ and } 43",
        r"42 \text{ minus } 1",
        r"3 \text{ times } 4",
        r"12 \text{ ft } 3 \text{ in}",
        r"\text{(A) } 42",
        r"\text{The answer is 5!}",
        r"x = 42 \text{ and } y = 3",
        r"x = 42 \text{ hence } y = 3 \text{ hence } z = 4",
        r"n=4 \text{ gives } 42, n=5 \text{ gives } 43",
        r"\text{forty-two}",
    ],
)
def test_what_is_not_a_single_value_gives_no_answer(latex: str) -> None:
    assert parse_integer(latex) is None


@given(
    st.integers(1, 10**6),
    st.sampled_from(["#^{\\text{@}}", "#\\text{@}", "#^{@}", "#^\\text{@}", "#^{\\mathrm{@}}", "#@"]),
)
def test_ordinals(number: int, form: str) -> None:
    regular = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number // 10 % 10 != 1 else "th"
    for ending in ("st", "nd", "rd", "th"):
        latex = form.replace("#", str(number)).replace("@", ending)
        assert parse_integer(latex) == (number if ending == regular else None)
        assert parse_integer(rf"{latex} \text{{ term}}") == (number if ending == regular else None)


def test_a_power_is_no_ordinal() -> None:
    assert parse_integer("2^{n}") is None
    assert parse_integer("2^{tn}") is None
    assert parse_integer("2^n") is None
