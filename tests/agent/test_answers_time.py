"""How long the reading of an answer takes."""

from __future__ import annotations

import time

import pytest

from agent.answers import extract_answer
from agent.editions import EDITIONS
from agent.latex.integer import MAX_CHARS
from tests.support.tiers.cases import quick_cases

AIMO2 = EDITIONS["aimo2"]


def processor_seconds(text: str) -> float:
    """The quickest of some runs, so that other work on the machine does not count."""
    seconds = []
    for _ in range(5):
        start = time.process_time()
        extract_answer(text, AIMO2)
        seconds.append(time.process_time() - start)
    return min(seconds)


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
    short = processor_seconds(unit * (size // len(unit)))
    long = processor_seconds(unit * (8 * size // len(unit)))
    # Eight times the text: 8 where the cost is linear, 64 where it is quadratic.
    assert long < 30 * max(short, 1e-3)


@pytest.mark.parametrize("unit", quick_cases(4, BOXED_UNITS))
def test_the_longest_box_takes_little(unit: str) -> None:
    content = (unit * MAX_CHARS)[:MAX_CHARS]
    assert processor_seconds(rf"\boxed{{{content}}}") < 1


@pytest.mark.parametrize(
    "opening", quick_cases(1, [r"\text{", "{", r"\boxed{", r"\text{a ", "(", r"\frac{1}{", r"\boxed{a"])
)
def test_deep_nesting_takes_little(opening: str) -> None:
    closing = ")" if opening == "(" else "}"
    deep, deeper = (opening * count + "1" + closing * count for count in (4_000, 32_000))
    assert processor_seconds(deeper) < 30 * max(processor_seconds(deep), 1e-3)
    depth = MAX_CHARS // (len(opening) + 2)
    assert processor_seconds(rf"\boxed{{{opening * depth}1{closing * depth}}}") < 1
