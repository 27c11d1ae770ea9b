r"""Answers beside truths of our own: what means the same is right, however it is written, and nothing else is."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.tiers.cases import examples, quick_cases
from tools.benchmark.grading.notation import rewritten

pytest.importorskip("math_verify")
from tools.benchmark.grading.compare import judged

AS_LONG_AS_IT_TAKES = examples(25)

Pairs = tuple[tuple[str, list[str]], ...]

SAME: dict[str, Pairs] = {
    "thousands": (
        ("12345", [r"12\,345", "12 345", "12{,}345", r"12\;345", "12~345", "12,345", "12\u202f345", r"12{\,}345"]),
        (r"12,\!345", [r"12\,345", "12345", r"12\ 345"]),
        (r"\$12{,}345", [r"12\,345\text{ dollars}", r"\$12,345.00"]),
        ("0.123456", [r"0.123\,456"]),
        ("-1234567", [r"-1\,234\,567"]),
        (r"\begin{pmatrix} 12345 \\ 2 \end{pmatrix}", [r"\begin{pmatrix} 12\,345 \\ 2 \end{pmatrix}"]),
        (r"2\pi", [r"2\,\pi"]),
        ("6", [r"2\,\cdot\,3"]),
        ("3x", [r"3 \, x"]),
        ("(1,234)", ["(1, 234)"]),
        ("1, 234", ["234, 1"]),
    ),
    "matrices": (
        (
            r"\begin{pmatrix} 1 & -2 \\ 3 & 1/4 \end{pmatrix}",
            [
                r"\begin{pmatrix} 1 & -2 \\[4pt] 3 & \tfrac14 \end{pmatrix}",
                r"\begin{bmatrix} 1 & -2 \\* 3 & 0.25 \\ \end{bmatrix}",
                r"\begin{pmatrix} 1 & -2 \cr 3 & \dfrac{1}{4} \cr \end{pmatrix}",
                r"\left[\begin{array}{c|c} 1 & -2 \\ \hline 3 & \frac14 \end{array}\right]",
                r"\bigl(\begin{smallmatrix} 1 & -2 \\[-0.5ex] 3 & 1/4 \end{smallmatrix}\bigr)",
                r"A = \frac14\begin{pmatrix} 4 & -8 \\[\jot] 12 & 1 \end{pmatrix}",
                r"\begin{pmatrix*}[r] 1 & -2 \\ 3 & 1/4 \end{pmatrix*}",
                r"\pmatrix{1 & -2 \cr 3 & \frac{1}{4}}",
            ],
        ),
    ),
    "numbers": (
        (r"\frac13", [r"0.\overline{3}", r"0.\bar3", "0.(3)", r".\overline{3}"]),
        (r"\frac{13}{6}", [r"2.1\overline{6}"]),
        (r"\frac12", ["0.5", ".5", r"50\%", r"\tfrac12", r"\nicefrac{1}{2}"]),
        (r"\frac72", [r"3\frac12", r"3 \tfrac{1}{2}", "3 1/2", "3.5"]),
        (r"25\%", ["25", "0.25", r"25 \text{ percent}"]),
        (r"2\sqrt{5}", ["2\u221a5", r"2\sqrt 5", r"2\sqrt5 \approx 4.472"]),
        ("7", [r"7 \pmod{10}", r"x \equiv 7 \pmod{10}", r"n = 2^3 - 1 = 7"]),
        ("2^{100}", ["1267650600228229401496703205376"]),
        (r"\frac{1}{2004!}", [r"\frac{1}{2004!}", r"\frac{2005}{2005!}"]),
        (r"\frac{\sqrt3}{2}", [r"\cos 30^\circ", r"\cos(30^{\circ})", r"\sin{60^\circ}"]),
        ("45", [r"45^\circ", r"45\text{ degrees}", "45\u00b0"]),
        (
            "5",
            [r"5\text{ cm}^2", r"5\,\mathrm{m/s}", r"\text{5 cm}", "x = 5", r"\$5", "$5$", "**5**", r"{\color{blue}5}"],
        ),
        ("5", [r"\text{The answer is } 5", "3+2=5", r"\boxed{5}", r"\textcolor{red}{\mathbf{5}}", "5."]),
        ("4210_{5}", ["4210_5", "4210", r"4210_{\text{five}}", r"4210\text{ (base 5)}", "(4210)_5"]),
        ("4210", ["4210_{10}"]),
        (r"\frac{\pi}{2}", [r"\frac\pi2", r"\frac\pi{2}", r"\frac \pi 2", r"\dfrac{\pi}2"]),
        ("2:3:5", ["2 : 3 : 5", "2{:}3{:}5"]),
    ),
    "sets": (
        (r"\emptyset", [r"\varnothing", r"\{\}", r"\{\ \}", "\u2205", r"\text{empty set}"]),
        ("[-2,7]", [r"-2 \le x \le 7", r"7 \ge x \ge -2", r"x \in [-2,7]", r"\left[-2, 7\right]"]),
        (
            r"(5,\infty)",
            [
                "x>5",
                "5<x",
                r"\{x \mid x > 5\}",
                r"\{ x \in \mathbb R : x > 5 \}",
                r"(5,+\infty)",
                r"]5,\infty[",
                r"\left]5,\infty\right[",
            ],
        ),
        ("[2,5)", [r"[2,5[", r"2 \le x < 5"]),
        ("(2,5]", ["]2,5]"]),
        (r"(-\infty,1)\cup(2,5]", [r"]-\infty,1[\cup]2,5]"]),
        (
            r"(-\infty,-1)\cup(3,\infty)",
            [r"x<-1 \text{ or } x>3", "x<-1, x>3", r"(3,\infty) \cup (-\infty,-1)", r"x<-1 \lor x>3"],
        ),
        ("(1,5)", [r"x>1 \text{ and } x<5"]),
        (r"(-\infty,3)\cup(3,\infty)", [r"x \neq 3", r"\mathbb{R}\setminus\{3\}"]),
        ("5,7", ["7, 5", r"\{5,7\}", r"x=5 \text{ or } x=7", r"5 \text{ and } 7"]),
        (r"1 \pm \sqrt2", [r"1+\sqrt2, 1-\sqrt2"]),
        (r"\frac{-1+\sqrt5}{2}, \frac{-1-\sqrt5}{2}", [r"x = \frac{-1\pm\sqrt5}{2}"]),
        ("(1,2)", [r"\langle 1, 2 \rangle", r"\left(1,\,2\right)"]),
    ),
    "texts": (
        (
            r"\text{(E)}",
            [r"\textbf{(E)}\ 12", "(E)", r"\text{E}", "E", r"\mathrm{(E)}", r"\text{Option E}", r"\text{(e)}"],
        ),
        (r"\text{ellipse}", [r"\text{an ellipse}", r"\text{The ellipse}"]),
        (r"\text{(B), (C)}", [r"\text{(C) and (B)}"]),
        (r"\text{Monday}", ["Monday", r"\text{monday}", r"\textbf{Monday}", r"\text{\textit{Monday}}"]),
        (r"\text{Ann and Bob}", [r"\text{Bob, Ann}"]),
    ),
    "expressions": (
        ("x^2+2x+1", ["(x+1)^2", "y = 1 + x^2 + 2x"]),
        ("y=2x+3", ["2x - y + 3 = 0", "y = 3 + 2x", "4x + 6 = 2y"]),
        (r"\frac{x}{2}", ["0.5x"]),
    ),
}

DIFFERENT: tuple[tuple[str, list[str]], ...] = (
    (r"\frac{1}{2^{99}}", [r"\frac{1}{2^{98}}", "0"]),
    (r"\frac{1}{2004!}", [r"\frac{1}{2006!}"]),
    (r"\frac{\sqrt2}{2004!}", [r"\frac{\sqrt2}{2006!}"]),
    (r"x + 10^{-40}", ["x", r"x + 10^{-41}"]),
    ("(10^{-30}, 1)", ["(10^{-31}, 1)"]),
    (r"\{10^{-30}, 1\}", ["10^{-31}, 1"]),
    ("[0, 10^{-30}]", ["[0, 10^{-31}]"]),
    (r"\sqrt{10^{40}+1}", ["10^{20}"]),
    ("10^{100}", ["10^{100}+1"]),
    (r"\frac13", ["0.333", "0.333333333333", r"0.3\overline{4}"]),
    (r"\sqrt2", ["1.41421356", "1.4142135623730950488"]),
    (r"\pi", ["3.14159265358979", r"\frac{22}{7}"]),
    ("4210_{5}", ["4210_{6}", r"4210_{\text{six}}", r"4210 \text{ base } 6", "4211_5"]),
    ("560", ["4210_{5}"]),
    ("10", ["10_2", r"10_{\text{two}}"]),
    ("2:3:5", ["2:5:3", "2:3", "2:3:5:1", "235"]),
    ("5", ["5:1", "1:5", "4=5", "0=5", r"\{5\}", "2+2=5"]),
    ("x", [r"\{x\}"]),
    (r"\{5\}", ["5"]),
    ("(1,2)", [r"\{1,2\}"]),
    (r"\{1,2\}", ["(1,2)", "x = (1,2)"]),
    (r"\text{(B)}", [r"\text{(B), (C)}", r"\text{(B) and (C)}"]),
    (r"\text{(B), (C)}", [r"\text{(B)}", r"\text{(C)}"]),
    (
        r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}",
        [r"\begin{pmatrix} 2 \\[2pt] 1 \end{pmatrix}", r"\begin{pmatrix} 1 & 2 \end{pmatrix}"],
    ),
    (r"\begin{pmatrix} 1/3 \\ 2 \end{pmatrix}", [r"\begin{pmatrix} 0.3333333 \\ 2 \end{pmatrix}"]),
    ("1234", ["1, 234", "(1,234)", "12 34"]),
    ("5,7", ["5", "7", "5,7,9", "5,8"]),
    ("(5,7)", ["(7,5)", "[5,7]"]),
    ("[-2,7]", [r"-2 < x \le 7", r"x \le 7"]),
    (r"(5,\infty)", [r"x \ge 5", "x<5"]),
    (r"\emptyset", ["0", r"\{0\}"]),
    (r"\text{(E)}", [r"\textbf{(D)}\ 12", "12", r"\text{D}"]),
    (r"\text{even}", [r"\text{odd}", "neve", r"\text{not even}", r"\text{even function}"]),
    (r"120^\circ", [r"\frac{2\pi}{3}"]),
    (r"\frac{\sqrt3}{2}", [r"\sin 30^\circ", r"\cos 30"]),
    (r"10\%", [r"20\%", "1"]),
    (r"5\frac13", [r"\frac53", r"5 \cdot \frac13"]),
    ("x^2-1", ["(x-1)(x+2)"]),
    ("y=2x+3", ["y=2x+4", "2x+y+3=0"]),
    ("5", ["approximately 5", "not 5", "5 or 6", "five", r"\text{}", ""]),
)


def right(truth: str, answer: str) -> bool:
    return judged(truth, [answer])[1]


@pytest.mark.parametrize("kind", quick_cases(1, sorted(SAME)))
def test_what_means_the_same_is_right(kind: str) -> None:
    wrong = [(truth, answer) for truth, answers in SAME[kind] for answer in answers if not right(truth, answer)]
    assert wrong == []


@pytest.mark.parametrize(("truth", "answers"), DIFFERENT)
def test_what_means_something_else_is_wrong(truth: str, answers: list[str]) -> None:
    assert right(truth, truth)
    assert [answer for answer in answers if right(truth, answer)] == []


@pytest.mark.parametrize(
    ("truth", "answers", "verdict"),
    [
        ("5,7", ["5", "7"], True),
        ("7,5", ["5", "7"], True),
        (r"1 \pm \sqrt2", [r"1+\sqrt2", r"1-\sqrt2"], True),
        ("7", ["5", "7"], True),
        ("5", ["5", "7"], False),
        ("5,7", ["7"], False),
        ("5,7", ["3", "5,7"], True),
        ("5,7", ["3", "5", "7"], True),
        ("(5,7)", ["5", "7"], True),
        ("(5,7)", ["7", "5"], False),
        ("(1,2),(3,4)", ["(1,2)", "(3,4)"], True),
        ("(1,2),(3,4)", ["(2,1)", "(3,4)"], False),
        (r"\{5,7\}", ["7", "5"], True),
        (r"5 \text{ or } 7", ["7", "5"], True),
    ],
)
def test_several_answers_are_a_list_if_the_truth_is_one(truth: str, answers: list[str], verdict: bool) -> None:
    assert judged(truth, answers)[1] is verdict


@pytest.mark.parametrize(
    "spellings", [["0.5", r"\frac12", r"\frac{2}{4}", "x=1/2"], [r"12\,345", "12345"], ["(B)", r"\text{B}"]]
)
def test_equal_answers_are_votes_for_the_same(spellings: list[str]) -> None:
    assert len({judged("1", [spelling])[0] for spelling in spellings}) == 1


def test_bases_are_no_votes_for_the_same() -> None:
    assert judged("4210_5", ["4210_5"])[0] != judged("4210_5", ["4210_6"])[0]


@given(st.integers(1_000, 10**15), st.sampled_from([r"\,", " ", "{,}", r"\;", "~", ",", r"\ ", "\u2009", r",\!"]))
@AS_LONG_AS_IT_TAKES
def test_thousands_are_set_apart_by_anything(number: int, separator: str) -> None:
    assert rewritten(f"{number:,}".replace(",", separator)) == str(number)


RATIONALS = st.fractions(max_denominator=10**40).filter(lambda value: value.denominator > 1)


def latex(value: Fraction) -> str:
    return rf"\frac{{{value.numerator}}}{{{value.denominator}}}"


@given(RATIONALS, st.integers(20, 400))
@AS_LONG_AS_IT_TAKES
def test_rational_numbers_are_equal_only_if_they_are(value: Fraction, exponent: int) -> None:
    near = value + Fraction(1, 10**exponent)
    assert right(latex(value), latex(value))
    assert not right(latex(value), latex(near))
    assert not right(rf"\{{{latex(value)}, 1\}}", f"1, {latex(near)}")


@given(st.integers(-(10**12), 10**12), st.integers(1, 12))
@AS_LONG_AS_IT_TAKES
def test_a_decimal_is_the_fraction_that_it_stands_for(digits: int, places: int) -> None:
    value = Fraction(digits, 10**places)
    assume(value.denominator > 1)
    decimal = f"{'-' * (digits < 0)}{abs(digits) // 10**places}.{abs(digits) % 10**places:0{places}d}"
    assert right(latex(value), decimal)
    assert not right(latex(value), f"{decimal}{'0' * 30}1")


CELLS = st.lists(st.lists(st.integers(-99, 99), min_size=2, max_size=2), min_size=2, max_size=3)


@given(CELLS, st.sampled_from([r"\\", r"\\[4pt]", r"\cr ", r"\\*", r"\\ \hline ", r"\\[0.3em]"]), st.data())
@AS_LONG_AS_IT_TAKES
def test_matrices_are_equal_cell_by_cell(rows: list[list[int]], between: str, data: Any) -> None:
    def matrix(kind: str, between: str) -> str:
        cells = between.join(" & ".join(map(str, row)) for row in rows)
        return rf"\begin{{{kind}}}{cells}\end{{{kind}}}"

    truth = matrix("pmatrix", r"\\")
    kind = data.draw(st.sampled_from(["pmatrix", "bmatrix", "matrix", "smallmatrix"]))
    assert right(truth, matrix(kind, between))
    data.draw(st.sampled_from(rows))[data.draw(st.integers(0, 1))] += data.draw(st.sampled_from([-1, 1]))
    assert not right(truth, matrix(kind, between))
