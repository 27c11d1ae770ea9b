"""What cells ask for that a session does not have: processes, a network, input."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from agent.sandbox.forkserver import ForkServerSandbox
from agent.types import ToolStatus
from tests.support.sandbox.sandboxes import sandbox, told

in_module = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def box() -> AsyncIterator[ForkServerSandbox]:
    async with sandbox() as made:
        yield made


GUARD = "if __name__ == '__main__':\n    "
MP = "import multiprocessing as mp\n"
POOLS = {
    "from multiprocessing import Pool\n" + GUARD + "with Pool(2) as p: print(p.map(abs, [-1, 2]))": "[1, 2]",
    MP + "with mp.Pool() as p: print(p.starmap(pow, [(2, 3), (3, 2)]))": "[8, 9]",
    MP + "with mp.get_context('fork').Pool(99) as p: print(sorted(p.imap_unordered(abs, [-1])))": "[1]",
    MP + "p = mp.Pool(3)\nr = p.apply_async(abs, (-3,))\np.close(); p.join(); r.get()": "3",
    "from concurrent.futures import ProcessPoolExecutor as P\nwith P(4) as p: print([*p.map(abs, [-1])])": "[1]",
    "import concurrent.futures as c\nwith c.ProcessPoolExecutor(500) as p: print(p.submit(abs, -1).result())": "1",
}
SHARED = {
    "from multiprocessing.pool import ThreadPool\nwith ThreadPool(3) as p: print(p.map(abs, [-1, 2]))": "[1, 2]",
    "from multiprocessing.pool import ThreadPool\nThreadPool().apply(pow, (2, 3))": "8",
    "from multiprocessing.dummy import Pool\nwith Pool(2) as p: print(p.map(abs, [-1, 2]))": "[1, 2]",
    "from multiprocessing import Lock\nwith Lock(): print(1)": "1",
    MP + "lock = mp.get_context().RLock()\nwith lock, lock: print(1)": "1",
    MP + "q = mp.Queue(); q.put(5); q.close(); q.join_thread(); print(q.get(timeout=1), q.empty())": "5 True",
    MP + "q = mp.get_context('fork').JoinableQueue(2); q.put(5); q.get(); q.task_done(); q.join(); print(7)": "7",
    "from multiprocessing import SimpleQueue as Q\nq = Q(); q.put(5); print(q.get(), q.empty())": "5 True",
    MP + "import queue\ntry: mp.Queue(1).get_nowait()\nexcept queue.Empty: print('empty')": "empty",
    MP + "e = mp.Event(); e.set(); print(e.is_set(), mp.Semaphore(2).acquire(), mp.Barrier(1).wait())": "True True 0",
    MP + "with mp.Condition() as c, mp.BoundedSemaphore(1): print(1)": "1",
    MP + "v = mp.Value('i', 5)\nwith v.get_lock(): v.value += 1\nprint(v.value)": "6",
    MP + "v = mp.Value('d', 0.5, lock=False)\nprint(v.value)": "0.5",
    MP + "a = mp.Array('i', 3)\na[1] = 7\nprint(a[:], len(a))": "[0, 7, 0] 3",
    MP + "a = mp.get_context('fork').Array('d', [1, 2], lock=mp.Lock())\nprint(list(a))": "[1.0, 2.0]",
}


@in_module
@pytest.mark.parametrize("code", SHARED)
async def test_what_threads_may_share_works(box: ForkServerSandbox, code: str) -> None:
    session = await box.session()
    assert await told(session, code) == SHARED[code]
    await session.close()


@in_module
@pytest.mark.parametrize("code", POOLS)
async def test_a_pool_of_processes_works_in_threads_with_a_note(box: ForkServerSandbox, code: str) -> None:
    session = await box.session()
    run = await session.run(code)
    assert run.status is ToolStatus.OK and run.output.endswith(POOLS[code]), run.output
    assert run.output.count("this pool works in threads") == 1
    await session.close()


@in_module
@pytest.mark.parametrize(
    "code",
    [
        "import os\nos.fork()",
        "import subprocess\nsubprocess.run(['ls'])",
        "import multiprocessing\nmultiprocessing.Process(target=print).start()",
        "from multiprocessing import Process, Queue\nq = Queue()\nProcess(target=q.put, args=(1,)).start()",
        "import multiprocessing\nmultiprocessing.Manager()",
    ],
)
async def test_what_starts_a_process_gets_a_message(box: ForkServerSandbox, code: str) -> None:
    session = await box.session()
    run = await session.run(code)
    assert run.status is ToolStatus.ERROR and "No processes or programs can be started here" in run.output
    await session.close()


NO_INPUT, NO_NETWORK, NO_PROCESS = "There is no input here", "There is no network here", "No processes or programs"
MISSING = {
    "n = int(input())": NO_INPUT,
    "n, k = map(int, input('n k: ').split())": NO_INPUT,
    "import sys\nn = int(sys.stdin.readline())": NO_INPUT,
    "import sys\nfor line in sys.stdin: print(line)": NO_INPUT,
    "data = open(0).read().split()": NO_INPUT,
    "import os\nos.system('ls')": NO_PROCESS,
    "import urllib.request\nurllib.request.urlopen('http://example.com')": NO_NETWORK,
    "import socket\nsocket.create_connection(('127.0.0.1', 80))": NO_NETWORK,
    "import http.client\nhttp.client.HTTPSConnection('example.com').request('GET', '/')": NO_NETWORK,
    "import socket\nsocket.gethostbyname('example.com')": NO_NETWORK,
}


@in_module
@pytest.mark.parametrize("code", MISSING)
async def test_what_a_session_does_not_have_gets_a_message(box: ForkServerSandbox, code: str) -> None:
    session = await box.session()
    output = await told(session, code)
    assert MISSING[code] in output
    others = await told(session, "import io, sys\nsys.stdin=io.StringIO('5\\n6')\nint(input())")
    assert others == "5"
    assert await told(session, "import sys\nint(sys.stdin.readline())") == "6"
    await session.close()


@in_module
async def test_the_history_of_a_notebook_gets_a_message(box: ForkServerSandbox) -> None:
    session = await box.session()
    for code in ("In[0]", "Out[1]", "_1", "_i", "print(_i3)", "_12 + 1"):
        assert "no history of cells" in await told(session, code), code
    for code in ("Outer", "_x", "_1x", "Ins", "1 + '1'"):
        assert "history" not in await told(session, code), code
    assert "installs nothing" in await told(session, "import matplotlib_of_no_one.pyplot as plt")
    await session.close()


UNASKED = {
    "import sys\ninput = sys.stdin.readline\nprint(42)": "42",
    "# we do not use sys.stdin here\nprint(42)": "42",
    "def main():\n    data = sys.stdin.read()\n    open(0)\n    os.system('ls')\nprint(42)": "42",
    "s = \"call os.system('ls') never, nor open(0)\"\n42": "42",
    "def Popen(n): return 42\nPopen(0)": "42",
    "sys.stdin.isatty()": "False",
    "sys.stdin, 42": None,
    "import io\nsys.stdin = io.StringIO('42')\nsys.stdin.read(), sys.stdin.read()": "('42', '')",
    "sys.stdin = sys.__stdin__\n42": "42",
}


@in_module
async def test_nothing_is_said_of_what_was_not_requested(box: ForkServerSandbox) -> None:
    session = await box.session()
    for code, wanted in UNASKED.items():
        output = await told(session, code)
        assert "(There" not in output and "(No" not in output and wanted in (None, output), code
    await session.close()


ASKED = {
    "import sys, os\nprint(7)\nsys.stdin.read();": NO_INPUT,
    "def main():\n    return sys.stdin.readline()\nmain();\nprint(7)": NO_INPUT,
    "print(7); [*sys.stdin]; None": NO_INPUT,
    "print(7); sys.stdin.buffer.read(5); None": NO_INPUT,
    "with open(0) as f: f.read()\nprint(7)": NO_INPUT,
    "from os import system\nsystem('ls'); print(7)": NO_PROCESS,
    "getattr(os, 'system')('ls'); print(7)": NO_PROCESS,
    "sys.stdin.close()\nsys.stdin = sys.__stdin__ = None\nprint(7)\nprint('(There is no input here)')": NO_INPUT,
    "print(7); sys.stdin.read();": NO_INPUT,
}


@in_module
async def test_a_note_on_a_vain_request_follows_the_output_once(box: ForkServerSandbox) -> None:
    session = await box.session()
    for code, wanted in ASKED.items():
        lines = (await told(session, code)).splitlines()
        assert lines[0] == "7" and len(lines) == 2 and lines[1].startswith(f"({wanted}"), code
        assert await told(session, "42") == "42"
    output = await told(session, "n = int(input())")
    assert output.count(NO_INPUT) == 1 and "EOFError" in output
    await session.close()


@in_module
async def test_other_failures_of_the_system_get_none(box: ForkServerSandbox) -> None:
    output = await told(await box.session(), "open('missing')")
    assert "FileNotFoundError" in output and "started" not in output
