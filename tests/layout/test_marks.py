"""A test that starts a process says so, or it fails."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from tests.support.process_marks import ProcessWatch


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
