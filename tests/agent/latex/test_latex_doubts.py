"""Words that deny, weaken, bound or scale the value beside them, in more languages than one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.latex.integer import parse_integer

DENIALS = [
    *["wrong", "incorrect", "is false", "is impossible", "fails", "is a mistake", "contradiction", "invalid"],
    *[
        "ist falsch",
        "es falso",
        "est faux",
        "neverno не",
        "不是答案",
        "不对",
        "非",
        "错误",
        "不为",
        "아니다",
        "ではない",
    ],
]
WEAKENINGS = [
    *["unverified", "conjectured", "unproven", "to be verified", "to be checked", "likely", "estimated", "seemingly"],
    *["can't be it", "doesn't work", "hopefully", "tbd", "needs checking", "possibly", "可能", "也许", "大概", "左右"],
    *["ungefähr", "environ", "aproximadamente", "circa", "примерно"],
]
BOUNDS = [
    *[
        "lower bound",
        "upper bound",
        "is a lower bound",
        "is an upper bound",
        "bound",
        "too big",
        "too small",
        "minimum",
    ],
    *["(maximum)", "is larger", "above", "以上", "以下", "以内", "oder mehr", "o más", "ou plus", "至少"],
]
SCALES = [
    *["Millionen", "Milliarden", "Tausend", "Mio", "tsd", "mln", "millones", "mil", "mille", "milliards", "bilhões"],
    *["миллионов", "тысяч", "万", "亿", "千", "百", "万元", "score", "myriad", "billions", "lakhs", "dozens", "tens"],
    *["ternary", "septenary", "hexadezimal", "hexadecimal", "in binary", "base seven", "(base 7)", "进制", "ten"],
]
BEHIND = [*DENIALS, *WEAKENINGS, *BOUNDS, *SCALES]
FORMS = [
    "#\\text{ @}",
    "#\\text{@}",
    "#\\text{ (@)}",
    "#, \\text{@}",
    "\\text{# @}",
    "x = #\\text{ @}",
    "# \\mathrm{~@}",
]


@given(st.integers(13, 10**6), st.sampled_from(BEHIND), st.sampled_from(FORMS))
def test_a_value_followed_by_a_doubt_a_bound_or_a_scale_gives_no_answer(value: int, words: str, form: str) -> None:
    assert parse_integer(form.replace("#", str(value)).replace("@", words)) is None


@pytest.mark.parametrize(
    "before",
    [
        *["The answer is not", "The answer is possibly", "Wrong:", "An upper bound is", "not equal to", "false:"],
        *["Lower bound:", "My guess is", "The estimate is", "答案不是", "答案可能是", "答案不为", "最多为", "Неверно:"],
        *["minimum", "maximum", "Antwort ungefähr:", "The previous answer is", "至少是", "第"],
    ],
)
def test_a_value_after_a_doubt_or_a_bound_gives_no_answer(before: str) -> None:
    assert parse_integer(rf"\text{{{before} }} 42") is None
    assert parse_integer(rf"\text{{{before} 42}}") is None


@pytest.mark.parametrize(
    "latex",
    [
        *["42 is wrong", "not x = 42", "42 = false", "x = 42 = wrong", "42 are false", "wrong = 42"],
        *[r"42 \text{ is smaller}", r"42 \text{ is larger than } n", r"42 \text{ metres à pied}", r"42 \text{ рубля}"],
    ],
)
def test_a_doubt_in_other_places_leaves_none(latex: str) -> None:
    assert parse_integer(latex) is None


@pytest.mark.parametrize(
    "latex",
    [
        *[r"\text{The minimum is } 42", r"\text{max} = 42", r"\text{Minimum value: } 42", r"42\text{ is the maximum}"],
        *[
            r"\text{The larger number is } 42",
            r"\text{答案是}42",
            "\\text{答案\N{FULLWIDTH COLON}}42",
            r"\text{最小值为}42",
            r"42\text{个}",
        ],
        *[
            r"\text{The answer turns out to be } 42",
            r"\text{Ответ: } 42",
            r"\text{Réponse : } 42",
            r"42\text{ (verified)}",
        ],
        *[r"42\text{ (base ten)}", r"\text{score} = 42", r"42\text{ min}"],
        *[
            r"42\text{ miles}",
            r"42\text{ points}",
            r"42\text{ cents}",
            r"42\text{ for some integer } n",
            "max = 42",
            "答案是42",
            "42个",
            "答案为 42。",
            "42 种",
        ],
    ],
)
def test_words_that_name_a_value_or_count_by_it_are_read_over(latex: str) -> None:
    assert parse_integer(latex) == 42
