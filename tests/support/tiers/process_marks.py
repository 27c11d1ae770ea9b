"""Which tests start processes, and that no other does: `make quick` leaves them out."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Generator
from functools import cache
from types import ModuleType

import pytest

# Whoever imports these uses the processes that they start; so does whoever asks for these fixtures.
_MODULES = {
    "tests.support.browser",
    "tests.support.processes",
    "tests.support.sandbox.jail",
    "tests.support.sandbox.sandboxes",
    "tests.support.servers.vllm_installed",
}
_FIXTURES = {"tiny_model"}
_STARTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"}


class ProcessWatch:
    """Notices each process that the test that runs now starts in this one, but for those of `multiprocessing`."""

    def __init__(self) -> None:
        self._started: list[str] = []
        sys.addaudithook(self._hear)  # never goes away

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if event in _STARTS:
            self._started.append(f"{event}{arguments[:1]}")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self) -> Generator[None, object, object]:
        """Begin anew with each test, before its fixtures."""
        self._started.clear()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Fail a test that has started a process and does not say so."""
        result = yield
        if self._started and not any(item.get_closest_marker(name) for name in ("process", "long")):
            pytest.fail(f"starts a process, so mark it with pytest.mark.process: {self._started[0]}", pytrace=False)
        return result


def mark(items: list[pytest.Item]) -> None:
    """Mark the tests that start processes by what they ask for or what their module imports."""
    for item in items:
        module = inspect.getmodule(getattr(item, "function", None))
        if (module and _uses_processes(module)) or _FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.process)


@cache
def _uses_processes(module: ModuleType) -> bool:
    homes = {getattr(value, name, None) for value in vars(module).values() for name in ("__module__", "__name__")}
    return bool(homes & _MODULES)
