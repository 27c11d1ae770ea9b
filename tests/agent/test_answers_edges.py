"""Numbers just outside what an edition allows, and boxes just too long to be placeholders."""

from __future__ import annotations

import pytest

from agent.answers import extract_answer, last_boxed
from agent.editions import EDITIONS


@pytest.mark.parametrize(("value", "answer"), [(-1, None), (0, 0), (99_999, 99_999), (100_000, None)])
def test_without_a_modulus_an_answer_lies_in_the_range_or_is_none(value: int, answer: int | None) -> None:
    assert extract_answer(f"\\boxed{{{value}}}", EDITIONS["aimo3"]) == answer


@pytest.mark.parametrize(("value", "answer"), [(-1, 999), (0, 0), (999, 999), (1_000, 0)])
def test_with_a_modulus_every_integer_has_a_residue(value: int, answer: int) -> None:
    assert extract_answer(f"\\boxed{{{value}}}", EDITIONS["aimo1"]) == answer


@pytest.mark.parametrize(("dots", "last"), [(80, "7"), (81, "." * 81)])
def test_a_placeholder_has_at_most_eighty_characters(dots: int, last: str) -> None:
    """What is longer is an answer that cannot be read, so the one before it does not count."""
    text = f"\\boxed{{7}} and \\boxed{{{'.' * dots}}}"
    assert last_boxed(text) == last
    assert extract_answer(text, EDITIONS["aimo1"]) == (7 if dots == 80 else None)
