"""A cell that could not be interrupted takes the session's process with it, but not what earlier cells had made."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import SandboxError
from agent.sandbox.forkserver import ForkServerSandbox
from agent.sandbox.history import History, PastCell
from agent.types import ToolStatus
from tests.support.sandbox.sandboxes import LIMITS, children, sandbox, told

in_module = pytest.mark.asyncio(loop_scope="module")
IN_C = "y = 5\nsum(range(10**13))"
LOST = "The session was restarted: variables, functions and imports are lost."
KEPT = "their variables are there, those of the stopped cell are lost."


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop in C does not end however long it is waited for."""
    monkeypatch.setattr("agent.sandbox.process._GRACE_SECONDS", 0.1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def box() -> AsyncIterator[ForkServerSandbox]:
    async with sandbox() as shared:
        yield shared


@in_module
async def test_variables_survive_a_loop_in_c(box: ForkServerSandbox) -> None:
    session = await box.session()
    drawn = await told(session, "import random, sympy\nx = random.random(), sympy.randprime(1, 10**9)\nx")
    assert "ZeroDivisionError" in await told(session, "def f(n):\n    return n + z\nz = 2\n1 / 0")
    run = await session.run(IN_C, 0.2)
    assert run.status is ToolStatus.TIMEOUT and run.output.endswith(KEPT) and run.seconds < 5
    assert await told(session, "x") == drawn and await told(session, "f(3)") == "5"
    assert "NameError" in await told(session, "y")
    assert (await session.run(IN_C, 0.2)).output.endswith(KEPT)
    assert await told(session, "x") == drawn


@in_module
async def test_variables_survive_memory_that_is_not_there(box: ForkServerSandbox) -> None:
    session = await box.session()
    await session.run("x = 7")
    run = await session.run("y = []\nwhile True: y.append(bytes(1 << 20))", 20)
    assert await told(session, "x") == "7", run.output
    assert run.status is ToolStatus.ERROR or run.output.endswith(KEPT)


LEAVES = "import hashlib, threading\nx = 7\n"
LEAVES += "threading.Thread(target=hashlib.pbkdf2_hmac, args=('sha256', b'', b'', 10**9)).start()"
NOT_TWICE = {
    "a cell that was stopped": ("x = 7\nimport time\ntime.sleep(9)", 0.1),
    "a cell that left a thread at work": (LEAVES, 5.0),
}


@in_module
@pytest.mark.parametrize("kind", NOT_TWICE)
async def test_variables_that_cannot_be_restored_are_reported_as_lost(box: ForkServerSandbox, kind: str) -> None:
    code, limit = NOT_TWICE[kind]
    session = await box.session()
    await session.run(code, limit)
    run = await session.run(IN_C, 0.2)
    assert run.status is ToolStatus.TIMEOUT and "variables, functions and imports are lost." in run.output
    assert "NameError" in await told(session, "x")
    assert await told(session, "6 * 7") == "42"


@in_module
async def test_variables_survive_next_to_threads_that_wait_for_work(box: ForkServerSandbox) -> None:
    session = await box.session()
    await session.run("from concurrent.futures import ThreadPoolExecutor as T\np = T(3)\nx = list(p.map(abs, [-7]))")
    assert (await session.run(IN_C, 0.2)).output.endswith(KEPT)
    assert await told(session, "x, list(p.map(abs, [-8]))") == "([7], [8])"


@in_module
async def test_what_threads_did_during_other_cells_is_not_restored(box: ForkServerSandbox) -> None:
    session = await box.session()
    await session.run(LEAVES.replace("10**9", "10**5"))
    await session.run("import time; time.sleep(0.3)")
    assert (await session.run(IN_C, 0.2)).output.endswith("variables, functions and imports are lost.")


@in_module
async def test_a_cell_that_ends_another_way_the_second_time_is_no_help(box: ForkServerSandbox) -> None:
    session = await box.session()
    await session.run("x = 7")
    session._history.add(b"x = 8", 1, 0.0)  # as if that had failed before
    assert (await session.run(IN_C, 0.2)).output.endswith("variables, functions and imports are lost.")
    assert "NameError" in await told(session, "x")


@in_module
async def test_a_session_with_nothing_to_lose_claims_nothing(box: ForkServerSandbox) -> None:
    run = await (await box.session()).run(IN_C, 0.2)
    assert run.output.endswith("variables, functions and imports are lost.")


LATE = "agent.sandbox.forkserver._MAX_LATE_SECONDS"  # a cell so late returns before the others have been run again
SLOW = "import time\ntime.sleep(0.3)\nx = 7"


@in_module
async def test_a_cell_that_is_late_does_not_wait_for_earlier_ones(
    box: ForkServerSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LATE, -9.0)
    session = await box.session()
    assert await told(session, SLOW) == ""
    assert "are being run again" in (await session.run(IN_C, 0.2)).output
    waiting = asyncio.create_task(session.run("x"))
    await asyncio.sleep(0.01)
    waiting.cancel()  # which is no reason to lose them
    assert await told(session, "x") == "7"
    assert "are being run again" in (await session.run(IN_C, 0.2)).output
    assert await told(session, "x") == "7"


@in_module
async def test_what_could_not_be_restored_in_time_is_reported_by_the_next_cell(
    box: ForkServerSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LATE, -9.0)
    session = await box.session()
    await session.run("x = 7")
    session._history.add(b"x = 8", 1, 0.0)  # as if that had failed before
    assert "are being run again" in (await session.run(IN_C, 0.2)).output
    assert (await told(session, "print(6 * 7)")) == f"{LOST}\n42"
    assert "NameError" in await told(session, "x") and await told(session, "8") == "8"


async def test_a_session_closed_while_its_cells_are_run_again_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LATE, -9.0)
    box = ForkServerSandbox(LIMITS, warm=0)
    try:
        for wait in (0.0, 0.05, 0.4):
            session = await box.session()
            await session.run(SLOW)
            assert "are being run again" in (await session.run(IN_C, 0.2)).output
            await asyncio.sleep(wait)
            waiting = asyncio.create_task(session.run("x"))
            await asyncio.gather(session.close(), session.close())
            with pytest.raises(SandboxError, match="closed"):
                await waiting
        await asyncio.gather(*box._tasks)
        assert not children(await box.zygote_pid())
    finally:
        await box.close()


@in_module
async def test_waiting_for_a_cpu_does_not_make_a_cell_too_long_to_be_run_again(
    box: ForkServerSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await box.session()
    monkeypatch.setattr("agent.sandbox.history._MAX_SECONDS", 0.2)
    with monkeypatch.context() as busy:
        waited = itertools.count(0, 10)
        busy.setattr("agent.sandbox.meter.Meter.waiting_seconds", lambda _: float(next(waited)))
        await session.run(SLOW)
    assert [past.source for past in session._history.cells] == [SLOW.encode()]
    await session.run(SLOW)
    assert not session._history.cells


@given(st.lists(st.tuples(st.binary(max_size=1 << 12), st.integers(0, 1), st.floats(0, 0.3)), max_size=12))
def test_a_history_is_whole_or_empty(cells: list[tuple[bytes, int, float]]) -> None:
    history = History()
    for source, status, seconds in cells:
        history.add(source, status, seconds)
    if sum(seconds for _, _, seconds in cells) <= 1.0:
        assert list(history.cells) == [PastCell(source, status) for source, status, _ in cells]
    else:
        assert not history.cells


def test_a_history_of_large_sources_is_not_kept() -> None:
    history = History()
    for _ in range(3):
        history.add(bytes(400_000), 0, 0.0)
    assert not history.cells
    history.add(b"1", 0, 0.0)
    assert not history.cells
