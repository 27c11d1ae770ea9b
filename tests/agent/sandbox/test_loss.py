"""Cells that fail for what an earlier cell left behind, and sessions that say what no session says."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from agent.sandbox.client import ProcessExit
from agent.sandbox.endings import UNKNOWN_EXIT, exit_reason
from agent.sandbox.forkserver import ForkServerSandbox
from agent.sandbox.outcome import CellOutcome, Stop
from agent.types import ToolStatus
from tests.support.sandbox.sandboxes import LIMITS, sandbox, told

pytestmark = pytest.mark.asyncio(loop_scope="module")
THREAD = "import threading, os, time\ndef f():\n    {}\nthreading.Thread(target=f).start()\nx = 1"

FORGED = "import os, time\nend = bytes(17)\n"  # the token is nowhere to be found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def box() -> AsyncIterator[ForkServerSandbox]:
    async with sandbox() as shared:
        yield shared


LEFT_BEHIND = {
    "a thread that eats the request": THREAD.format("while True: os.read(3, 1 << 16)"),
    "a thread that eats the request and answers as best it can": THREAD.format("os.write(3, os.read(3, 1 << 16)[:9])"),
    "a socket that is shut": "import socket\ns = socket.socket(fileno=3)\ns.shutdown(socket.SHUT_RD)\ns.detach()",
    "another socket in its place": "import os, socket\na, b = socket.socketpair()\nos.dup2(a.fileno(), 3)",
    "a file in its place": "import os\nos.dup2(os.open('/dev/null', os.O_RDWR), 3)",
    "an end told too early": FORGED + "os.write(3, end)\nprint('mine')\ntime.sleep(0.1)\nprint('mine')",
    "an end told too early, then work for ever": FORGED + "os.write(3, end)\nwhile True: print('mine')",
    "an end told twice": FORGED + "os.write(3, 2 * end)",
    "a thread that ends the process": THREAD.format("time.sleep(0.15); os._exit(0)"),
    "a thread that speaks later": THREAD.format("time.sleep(0.15); os.write(3, b'CELL')"),
    "a thread that closes the output": THREAD.format("time.sleep(0.15); os.closerange(0, 100)"),
}


@pytest.mark.parametrize("left", LEFT_BEHIND)
async def test_the_next_cell_is_run_and_the_loss_is_reported(
    box: ForkServerSandbox, left: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.sandbox.process._BEGIN_SECONDS", 0.3)
    session = await box.session()
    first = await session.run(LEFT_BEHIND[left], 0.5)
    run = await session.run("import time\ntime.sleep(0.3)\nprint(6 * 7)", 5)
    assert run.status is ToolStatus.OK and run.output.rpartition("\n")[2] == "42" and "mine" not in run.output
    assert "are lost." in first.output + run.output or "eats" in left  # who is first to read is chance
    assert run.seconds < 5
    assert (await told(session, "print(6 * 7)")).rpartition("\n")[2] == "42"


async def test_a_thread_that_floods_the_output_of_the_next_cell_costs_the_session(box: ForkServerSandbox) -> None:
    session = await box.session()
    await session.run(THREAD.format("time.sleep(0.15)\n    while True: os.write(1, b'mine' * 9_999)"), 5)
    flooded = "import threading, time\nwhile threading.active_count() > 1: time.sleep(0.01)\nprint(6 * 7)"
    run = await session.run(flooded, 20)
    assert run.status is ToolStatus.OK and run.output.rpartition("\n")[2] == "42" and "mine" not in run.output
    assert "are lost." in run.output


HARMLESS = {
    "a thread that sleeps": THREAD.format("time.sleep(99)"),
    "a socket that does not wait": "import os\nos.set_blocking(3, False)\nx = 1",
    "a source as large as they may be": "x = 1\n'" + "y" * ((8 << 20) - 20) + "'; None",
}


@pytest.mark.parametrize("left", HARMLESS)
async def test_the_next_cell_finds_its_variables(box: ForkServerSandbox, left: str) -> None:
    session = await box.session()
    assert (await session.run(HARMLESS[left], 10)).status is ToolStatus.OK
    assert await told(session, "print(x)") == "1"


async def test_descriptors_cannot_be_sent_around_and_so_keep_no_session_alive(box: ForkServerSandbox) -> None:
    session = await box.session()
    sends = "import array, os, socket\na, b = socket.socketpair()\ntry:\n"
    sends += "    a.sendmsg([b'z'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [3, 1, 2]))])\n"
    sends += "except PermissionError: print('refused')\nos._exit(0)"
    run = await session.run(sends, 30)
    assert run.status is ToolStatus.KILLED and run.seconds < 10 and "refused" in run.output
    assert await told(session, "print(6 * 7)") == "42"


async def test_threads_that_may_have_interfered_are_mentioned_where_it_matters(box: ForkServerSandbox) -> None:
    session = await box.session()
    assert await told(session, THREAD.format("while True: sum(range(999))")) == ""
    assert await told(session, "print(6 * 7)") == "42"
    loop = "for i in range(3 * 10**6): pass\n"  # which lets the other thread have its turns
    for code in (loop, f"{loop}1 / 0"):
        assert (await told(session, code)).endswith("at work beside this one and may have interfered.)")


IDLE = {
    "a thread that sleeps": THREAD.format("time.sleep(99)"),
    "a thread that looks around": THREAD.format("while True: time.sleep(0.02)"),
    "a thread that waits for an event": "import threading\nthreading.Thread(target=threading.Event().wait).start()",
    "a progress bar": "from tqdm import tqdm\ntqdm.monitor_interval = 0.02\nfor i in tqdm(range(3)): pass",
    "a pool of threads": "from concurrent.futures import ThreadPoolExecutor as T\np = T(4)\nx = list(p.map(abs, [1]))",
    "a pool of processes": "from multiprocessing import Pool\np = Pool(4)\nx = p.map(abs, [1])",
    "an executor of a loop": "import asyncio\nasync def f(): return await asyncio.to_thread(abs, 1)\nx = await f()",
    "a thread that has much behind it": THREAD.format("sum(range(10**6)); time.sleep(99)") + "\ntime.sleep(0.1)",
    "a thread that ends meanwhile": THREAD.format("time.sleep(0.1)"),
}


@pytest.mark.parametrize("left", IDLE)
async def test_threads_that_wait_for_work_are_not_mentioned(box: ForkServerSandbox, left: str) -> None:
    session = await box.session()
    if "No module" in await told(session, IDLE[left]):
        pytest.skip("tqdm is not installed")
    for code in ("y = 2", "import time; time.sleep(0.15)", "y = sum(range(10**5))", "1 / 0"):
        assert "interfered" not in await told(session, code), code
    assert "interfered" not in (await session.run("while True: pass", 0.2)).output
    await session.close()


async def test_a_thread_that_works_and_ends_counts(box: ForkServerSandbox) -> None:
    session = await box.session()
    await session.run(THREAD.format("time.sleep(0.3); sum(range(10**7))"))
    assert "interfered" in await told(session, "time.sleep(1.5)")
    await session.close()


async def test_threads_of_the_cell_itself_do_not_count(box: ForkServerSandbox) -> None:
    session = await box.session()
    await session.run(IDLE["a pool of threads"])
    assert await told(session, "with T(2) as own: y = list(own.map(sum, 4 * [range(10**5)]))") == ""
    assert await told(session, "q = T(2)\ny = list(q.map(sum, 4 * [range(10**5)]))") == ""
    await session.close()


async def test_a_cell_that_fails_by_itself_next_to_harmless_threads_still_fails(box: ForkServerSandbox) -> None:
    session = await box.session()
    await session.run(HARMLESS["a thread that sleeps"], 5)
    run = await session.run("import os\nprint('once'); os._exit(3)", 5)
    assert run.status is ToolStatus.KILLED and run.output.count("once") == 1
    assert "run again" in run.output and "ended the Python process" in run.output


async def test_a_session_has_the_random_numbers_of_its_seed(box: ForkServerSandbox) -> None:
    draw = "import random, numpy\nprint(random.random(), numpy.random.rand())"
    first = await (await box.session(seed=7)).run(draw)
    again = await box.session(seed=7)
    assert (await again.run(draw)).output == first.output
    assert (await again.run(draw)).output != first.output
    await again.run("import os\nos._exit(0)")
    assert (await again.run(draw)).output == first.output
    assert (await (await box.session(seed=8)).run(draw)).output != first.output


async def test_every_exit_has_a_reason_in_words() -> None:
    lost = CellOutcome(None, Stop.NONE, "", begun=True, crowded=False, breach=False)
    for status in (*range(0x100), *range(0, 0x10000, 0x100)):
        assert exit_reason(lost, ProcessExit(status, ""), LIMITS).startswith("The cell")
    for status in range(0, 0x10000, 0x100):  # a cell may end with any, the session's own included
        assert exit_reason(lost, ProcessExit(status, ""), LIMITS).startswith("The cell ended the Python process")
    assert exit_reason(lost, UNKNOWN_EXIT, LIMITS) == "The cell's Python was killed."


async def test_an_exit_by_a_signal_without_a_name_is_reported() -> None:
    box = ForkServerSandbox(LIMITS, warm=0, without=frozenset({"pids"}))  # the first of a namespace would survive it
    try:
        session = await box.session()
        run = await session.run("import os\nos.kill(os.getpid(), 37)", 20)
        assert run.status is ToolStatus.KILLED and "crashed Python (signal 37)" in run.output
        assert await told(session, "print(6 * 7)") == "42"
    finally:
        await box.close()
