"""Two sessions on the same cores: many threads of the one do not hold up the other, and those of good faith work."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from agent.types import ToolStatus
from tests.support.sandbox.sandboxes import sandbox, told

_BURN = """
import hashlib, threading, time
data, end = bytes(1 << 20), time.monotonic() + 30
def burn():
    while time.monotonic() < end: hashlib.sha256(data)
for _ in range({threads}): threading.Thread(target=burn).start()
burn()
"""
_WORK = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass\nprint('done')"


def _policies(pid: int) -> tuple[int, set[int]]:
    """That of the first thread, and those of the others."""
    threads = [int(path.name) for path in Path(f"/proc/{pid}/task").iterdir()]
    return os.sched_getscheduler(pid), {os.sched_getscheduler(thread) for thread in threads if thread != pid}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no such policy")
@pytest.mark.parametrize(
    ("threads", "first"), [(6, "SCHED_BATCH"), pytest.param(30, "SCHED_IDLE", marks=pytest.mark.long)]
)
async def test_threads_beyond_a_share_run_at_idle_priority(threads: int, first: str) -> None:
    async with sandbox() as box:
        greedy, other = await box.session(), await box.session()
        assert greedy._process is not None and other._process is not None
        pid = greedy._process.handle.pid
        burning = asyncio.create_task(greedy.run(_BURN.format(threads=threads), 40))
        for _ in range(40):
            assert await told(other, _WORK) == "done"
            policies = _policies(pid)
            if policies[1] == {os.SCHED_IDLE} and policies[0] == getattr(os, first):
                break
        else:
            raise AssertionError(policies)
        assert _policies(other._process.handle.pid) == (os.SCHED_BATCH, set())
        burning.cancel()
        await asyncio.gather(burning, return_exceptions=True)


async def test_well_behaved_threads_run_to_their_end_next_to_another_session() -> None:
    pool = (
        "import hashlib\nfrom multiprocessing.pool import ThreadPool\ndata = bytes(1 << 20)\ndef f(n):\n"
        "    for _ in range(40): hashlib.sha256(data)\n    return n\nwith ThreadPool(4) as p: print(p.map(f, range(4)))"
    )
    async with sandbox() as box:
        one, other = await box.session(), await box.session()
        runs = await asyncio.gather(one.run(pool, 30), other.run(_WORK, 30))
        assert [run.status for run in runs] == [ToolStatus.OK] * 2
        assert [run.output for run in runs] == ["[0, 1, 2, 3]", "done"]
