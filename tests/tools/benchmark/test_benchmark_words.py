r"""Words and units beside a value: those that make another value of it get no credit."""

from __future__ import annotations

import pytest

pytest.importorskip("math_verify")
from tools.benchmark.grading.compare import judged

CHANGED = {
    "5": [
        r"5\text{ hundred}",
        r"5\text{ squared}",
        r"5 squared",
        r"\text{half of }5",
        r"\text{twice }5",
        r"\text{minus }5",
        r"\text{not }5",
        r"\text{at least }5",
        r"\text{about }5",
        r"5\text{ or more}",
        r"5 or more",
        r"\text{base }5",
        r"5\text{ (wrong)}",
        r"5\ldots",
        "5...",
        r"5 \pmod 3",
        r"5 \pmod{5}",
        r"5\mathrm{ dozen}",
        r"\text{5 million}",
        r"5\,\textbf{thousand}",
        r"\text{probably }5",
    ],
    "12": [r"12\text{ million}", r"12\text{ dozen}", r"\text{less than }12", r"\text{a multiple of }12\text{ at most}"],
    r"12\text{ cm}": [
        r"12\text{ m}",
        r"12\,\mathrm{m}",
        "12 m^2" r"\text{ inches}",
        r"12\text{ cm}^2",
        r"12\text{ square centimeters}",
    ],
    r"5\text{ hours}": [r"5\text{ minutes}", r"\text{5 days}", r"5 min"],
    r"\$5": [r"5\text{ cents}", r"5\text{ euros}"],
    r"5\text{ cents}": [r"\$5", r"5\text{ dollars}", r"\text{5 dollars}"],
    r"5\text{ hundred}": ["5"],
}
UNCHANGED = {
    "5": [
        r"5\text{ cm}",
        r"\$5",
        r"5\text{ hours}",
        r"5\text{ apples}",
        r"5\text{ square units}",
        r"5\text{ cm squared}",
        r"\text{The answer is }5",
        r"5 \pmod 7",
        "5.",
    ],
    r"12\text{ cm}": ["12", r"12\text{ centimeters}", r"12\,\mathrm{cm}", r"12\text{ units}", "12 cm"],
    r"12\text{ cm}^2": [r"12\text{ square centimetres}", r"12\text{ cm}^{2}", r"12\text{ cm squared}"],
    r"5\text{ hours}": ["5", r"5\text{ h}", r"\text{5 hours}"],
    r"\$5": ["5", r"5\text{ dollars}", r"\text{5 dollars}"],
    r"5\text{ hundred}": [r"5\text{ hundred}"],
    "(1,2)": [r"\text{the point }(1,2)"],
    "60": [r"60\text{ miles per hour}", r"60^\circ"],
}


@pytest.mark.parametrize("truth", CHANGED)
def test_words_that_change_a_value_or_contradict_its_unit_get_no_credit(truth: str) -> None:
    assert [answer for answer in CHANGED[truth] if judged(truth, [answer])[1]] == []


@pytest.mark.parametrize("truth", UNCHANGED)
def test_words_that_leave_a_value_as_it_is_cost_nothing(truth: str) -> None:
    assert [answer for answer in UNCHANGED[truth] if not judged(truth, [answer])[1]] == []
