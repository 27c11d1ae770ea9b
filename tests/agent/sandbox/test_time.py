"""A time limit counts what a cell could use: it is not ended for having waited for a CPU."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.sandbox.meter import Meter
from agent.sandbox.process import _allowed, _allowed_to_begin
from agent.types import ToolStatus
from tests.support.sandbox.sandboxes import sandbox

SECONDS = st.floats(0.001, 1e4)
USED = st.floats(0, 1e4)


@given(SECONDS, USED, USED, USED)
def test_a_cell_gets_back_what_it_waited_within_bounds(
    limit: float, elapsed: float, used: float, waited: float
) -> None:
    allowed = _allowed(limit, elapsed, used, waited)
    assert limit <= allowed <= min(3 * limit, limit + waited) * (1 + 1e-9)
    assert allowed <= _allowed(limit, elapsed, used, 2 * waited)
    if used >= limit or not waited:
        assert allowed == limit
    elif waited <= min(2 * limit, 4.5):
        assert allowed == pytest.approx(limit + waited)


@given(SECONDS, USED, USED, USED)
def test_only_a_starved_cell_of_a_long_limit_ends_more_than_some_seconds_late(
    limit: float, elapsed: float, used: float, waited: float
) -> None:
    late = _allowed(limit, elapsed, used, waited) - limit
    assert late <= 4.5 + 1e-9 * limit or (limit >= 10 and used < elapsed / 4)


def test_many_cells_on_few_cores_have_their_processor_time_as_long_as_they_are_starved() -> None:
    assert _allowed(10, 15.2, 1.9, 13.3) == 23.3
    assert _allowed(10, 29, 1, 99) == 30
    assert _allowed(10, 15.2, 3.9, 11.3) == 14.5
    assert _allowed(8, 15.2, 1.9, 13.3) == 12.5


@given(USED, USED)
def test_a_session_has_some_seconds_to_begin(used: float, waited: float) -> None:
    assert 2 <= _allowed_to_begin(used, waited) <= 4
    assert _allowed_to_begin(0.1, 0) == _allowed_to_begin(5, 99) == 2


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only Linux tells these figures")
def test_a_meter_reads_what_a_process_does() -> None:
    meter = Meter(os.getpid())
    before, waited = meter.cpu_seconds(), meter.waiting_seconds()
    while meter.cpu_seconds() < before + 0.02:
        pass
    assert time.process_time() == pytest.approx(meter.cpu_seconds(), abs=0.1)
    assert meter.threads() == len(os.listdir("/proc/self/task"))  # noqa: PTH208
    assert meter.waiting_seconds() >= waited
    meter.close()
    meter.close()
    assert meter.threads() == 0 and meter.waiting_seconds() == 0.0


def test_a_meter_of_an_exited_process_reads_nothing() -> None:
    meter = Meter(1 << 27)
    assert (meter.threads(), meter.cpu_seconds(), meter.waiting_seconds()) == (0, 0.0, 0.0)
    meter.close()


@pytest.mark.long
async def test_cells_that_share_cores_have_their_processor_time() -> None:
    if os.getloadavg()[0] > 3 * (os.cpu_count() or 1):
        pytest.skip("the cores are busy with something else")
    code = "import time\nt = time.process_time()\nwhile time.process_time() < t + {}: pass\nprint('done')"
    cells = 8 * (os.cpu_count() or 1)
    async with sandbox() as box:
        sessions = [await box.session() for _ in range(cells)]
        runs = await asyncio.gather(*(session.run(code.format(1.9), 10) for session in sessions))
        assert [run.output for run in runs] == ["done"] * cells
        greedy = await asyncio.gather(*(session.run(code.format(9), 1) for session in sessions[:2]))
        assert all(run.status is ToolStatus.TIMEOUT and run.seconds < 5 for run in greedy)


async def test_a_cell_that_begins_late_still_has_its_full_time() -> None:
    async with sandbox() as box:
        session = await box.session()
        process = session._process
        assert process is not None
        os.kill(process.handle.pid, signal.SIGSTOP)
        kept, process._signal = process._signal, lambda number: None  # type: ignore[method-assign]
        cell = asyncio.create_task(session.run("import time\ntime.sleep(0.1)\nprint('slept')\ntime.sleep(60)", 0.5))
        await asyncio.sleep(0.6)
        process._signal = kept  # type: ignore[method-assign]
        process._signal(signal.SIGCONT)
        run = await cell
        assert run.output.startswith("slept") and run.status is ToolStatus.TIMEOUT and 0.9 < run.seconds < 5


async def test_a_session_that_was_stopped_by_something_else_runs_its_next_cell() -> None:
    async with sandbox() as box:
        session = await box.session()
        await session.run("x = 7")
        process = session._process
        assert process is not None
        for _ in range(2):
            os.kill(process.handle.pid, signal.SIGSTOP)
            assert (await session.run("x")).output == "7"
