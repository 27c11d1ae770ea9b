"""Fixtures that several test files share."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator
from pathlib import Path

import hypothesis
import pytest

from agent.errors import ModelError
from agent.models.store import fetch_model
from tests.support.nvidia_smi import FakeDriver, fake_driver_in
from tests.support.tiers import process_marks

# Begun first where files are shared out among workers, so that none ends alone with a long one. Those that wait for
# processes stand beside those that compute.
_LONGEST = (
    *("vllm_real_limits", "vllm_real_killed", "vllm_real_matrix", "vllm_real", "vllm_real_check", "vllm_real_dialects"),
    *("hostile", "demo", "own_cells", "any_model", "real_model", "solve", "predictor", "bounds", "report_page"),
    *("models", "vllm", "good_faith", "embedded", "session", "benchmark_run", "soak", "faults", "worker", "lines"),
)

# Several files run side by side, so a waiting thread of the engine had better leave the core to the others.
os.environ.setdefault("GOMP_SPINCOUNT", "0")

# A shell's job in the background has it ignored, and so would every process that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A machine that is busy is no failure of an example.
hypothesis.settings.register_profile("suite", deadline=None, max_examples=60)  # others in each run of the suite
hypothesis.settings.register_profile("quick", deadline=None, max_examples=10)
hypothesis.settings.load_profile("suite")


def pytest_configure(config: pytest.Config) -> None:
    """Have it noticed when a test starts a process."""
    config.pluginmanager.register(process_marks.ProcessWatch())


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the garbage collector from what is imported and collected: a lot to look through that stays to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.set_threshold(20_000)  # tests leave little behind: few looks at it are enough
        gc.enable()


@pytest.hookimpl(tryfirst=True)  # before tests are chosen by their marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts processes, and put the longest files first; inside a file, the order stays."""
    process_marks.mark(items)
    places = {f"test_{name}.py": place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


@pytest.fixture(scope="session")
def tiny_model() -> Path:
    """SmolLM2-135M, fetched once for this user; without it tests are skipped, in CI they fail."""
    try:
        return fetch_model("smollm2-135m")
    except ModelError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))


@pytest.fixture
def fake_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    """Puts an nvidia-smi with the given shell body on the search path, alone."""
    return fake_driver_in(tmp_path, monkeypatch)
