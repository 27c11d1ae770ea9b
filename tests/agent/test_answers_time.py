"""How long the reading of an answer takes."""

from __future__ import annotations

import time

import pytest

from agent.answers import extract_answer
from agent.editions import EDITIONS
from agent.latex.integer import MAX_CHARS
from tests.support.tiers.cases import quick_cases

AIMO2 = EDITIONS["aimo2"]


_RUNS = 5  # the quickest counts, so that other work on the machine does not


def processor_seconds(text: str) -> float:
    start = time.process_time()
    extract_answer(text, AIMO2)
    return time.process_time() - start


def takes_less(text: str, seconds: float) -> bool:
    """Whether the quickest run takes less; no more are made than it needs to show."""
    return any(processor_seconds(text) < seconds for _ in range(_RUNS))


def grows_with_length_only(short: str, long: str) -> bool:
    """Whether a text of eight times the length takes less than 30 times as long: 8 if linear, 64 if quadratic."""
    return takes_less(long, 30 * max(min(processor_seconds(short) for _ in range(_RUNS)), 1e-3))


UNITS = [
    *["{", "}", r"\boxed{", r"\boxed{}", r"\boxed", "\\", r"\{", r"\boxed ", r"\boxed{\boxed{1}"],
    *[
        "\\boxed 1",
        "\\boxed 1 -",
        "\\boxed\\text ",
        "\\boxed\\{",
        "\x08oxed{",
        r"\boxed{ answer }",
        r"\boxed{\phantom{",
    ],
    *[r"\boxed{" + "answer " * 11 + "}", r"\boxed{" + "? " * 39 + "1}", r"\boxed{$", "answer "],
    *[r"\text{", "^", "9^{", "1,", "1,234", " ", "-", "(", "=", "9", r"\frac{"],
]
BOXED_UNITS = [
    *["9^{", "1,", "1,234", r"\text{", r"\not ", "^ ", "(", "640!*", "1/" + "9" * 600 + "+", "1=", "640!=", "(="],
    *[r"\binom{2000}{999}=", r"\binom{9^{500}}{2}+", r"9^{600}=", r"\sqrt{9^{600}}=", r"\text{a ", r"\text{a }", "a."],
    *[r"\text{for }", r"\text{a. ", r"\text{is }", r"\text{gives }1", ", ", "=,", "\\\\ ", "{(=}", "1,=("],
]


@pytest.mark.parametrize("unit", quick_cases(3, UNITS))
def test_time_grows_with_length_only(unit: str) -> None:
    size = 40_000
    assert grows_with_length_only(unit * (size // len(unit)), unit * (8 * size // len(unit)))


@pytest.mark.parametrize("unit", quick_cases(4, BOXED_UNITS))
def test_the_longest_box_takes_little(unit: str) -> None:
    content = (unit * MAX_CHARS)[:MAX_CHARS]
    assert takes_less(rf"\boxed{{{content}}}", 1)


@pytest.mark.parametrize(
    "opening", quick_cases(1, [r"\text{", "{", r"\boxed{", r"\text{a ", "(", r"\frac{1}{", r"\boxed{a"])
)
def test_deep_nesting_takes_little(opening: str) -> None:
    closing = ")" if opening == "(" else "}"
    deep, deeper = (opening * count + "1" + closing * count for count in (4_000, 32_000))
    assert grows_with_length_only(deep, deeper)
    depth = MAX_CHARS // (len(opening) + 2)
    assert takes_less(rf"\boxed{{{opening * depth}1{closing * depth}}}", 1)
