"""A test that starts a process says so, or it fails; what the quick tier leaves out is more of the same."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import hypothesis
import pytest

from tests.support.tiers.cases import examples, quick_cases
from tests.support.tiers.process_marks import ProcessWatch


@pytest.mark.process
@pytest.mark.parametrize("mark", [None, "process", "long"])
def test_a_test_that_starts_a_process_fails_unless_it_is_marked(mark: str | None) -> None:
    test = SimpleNamespace(get_closest_marker=lambda name: name if name == mark else None)
    call = ProcessWatch().pytest_runtest_call(test)  # type: ignore[arg-type]
    next(call)
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    with pytest.raises(StopIteration if mark else pytest.fail.Exception):
        call.send(None)


def test_a_test_that_starts_none_needs_no_mark() -> None:
    call = ProcessWatch().pytest_runtest_call(SimpleNamespace(get_closest_marker=lambda name: None))  # type: ignore[arg-type]
    next(call)
    with pytest.raises(StopIteration):
        call.send(None)


def test_the_quick_tier_keeps_the_first_cases_and_at_least_one() -> None:
    first, *others = quick_cases(1, ["a", "b", "c"])
    assert first == "a"
    assert others == [pytest.param(case, marks=pytest.mark.further) for case in ("b", "c")]
    assert quick_cases(9, ["a", "b"]) == ["a", "b"]
    with pytest.raises(ValueError, match="at least one"):
        quick_cases(0, ["a"])


def test_a_property_keeps_its_share_of_the_examples_in_every_tier() -> None:
    usual = hypothesis.settings().max_examples
    assert [examples(count).max_examples for count in (1, 50, 100, 300)] == [1, usual // 2, usual, 3 * usual]
