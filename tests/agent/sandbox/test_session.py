"""Sessions as the agent uses them: state, output, limits and loss."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from agent.sandbox.base import Limits
from agent.sandbox.forkserver import ForkServerSandbox
from agent.types import ToolStatus
from tests.support.sandbox.sandboxes import LIMITS, children, sandbox, state, told

in_module = pytest.mark.asyncio(loop_scope="module")  # the loop of the sandbox that most tests share


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def box() -> AsyncIterator[ForkServerSandbox]:
    async with sandbox() as shared:
        yield shared


@in_module
async def test_a_session_is_a_notebook(box: ForkServerSandbox) -> None:
    session = await box.session()
    assert (await session.run("x = 20\nprint('a')\nx + 1")).output == "a\n21"
    assert await told(session, "def f(n):\n    return n * x\nimport math") == ""
    assert await told(session, "f(2), math.gcd(12, 18)") == "(40, 6)"
    assert await told(session, "_[0]") == "40"
    failed = await session.run("y = 1\n1 / 0\ny = 2")
    assert failed.status is ToolStatus.ERROR
    assert "<cell 5>" in failed.output and "1 / 0" in failed.output and "interpreter.py" not in failed.output
    assert await told(session, "y") == "1"
    assert await told(session, "None") == ""
    assert await told(session, "") == ""
    assert "SyntaxError" in await told(session, "def f(:")
    assert (await session.run("import sys; print('b'); sys.exit()")).status is ToolStatus.OK


@in_module
async def test_sessions_share_nothing(box: ForkServerSandbox) -> None:
    one, two = await box.session(), await box.session()
    await one.run("x = 1; open('f', 'w').write('x')")
    assert "NameError" in await told(two, "x")
    assert await told(two, "import os; os.listdir()") == "[]"
    draws = "import random, numpy; random.random(), numpy.random.rand()"
    assert await told(one, draws) != await told(two, draws)


_LEGITIMATE = {
    "import sympy; x = sympy.Symbol('x'); sympy.solve(x**2 - 5*x + 6)": "[2, 3]",
    "sympy.integrate(sympy.exp(-x**2), (x, -sympy.oo, sympy.oo))": "sqrt(pi)",
    "sympy.factorint(10**15 + 37)": None,
    "import sympy.ntheory.modular; sympy.ntheory.modular.crt([3, 5, 7], [2, 3, 2])[0]": "23",
    "import numpy as np; int(np.linalg.matrix_power(np.array([[1, 1], [1, 0]]), 30)[0, 1])": "832040",
    "float(np.linalg.eigvalsh(np.eye(200)).sum())": "200.0",
    "from fractions import Fraction as F; sum(F(1, k) for k in range(1, 5))": "Fraction(25, 12)",
    "from decimal import Decimal, getcontext; getcontext().prec = 40; Decimal(2).sqrt()": None,
    "len(str(7 ** 100_000))": "84510",
    "import sys; sys.setrecursionlimit(60_000)\ndef depth(n): return n and 1 + depth(n - 1)\ndepth(50_000)": "50000",
    # Python 3.12 bounds the recursion through C, as that of lru_cache, by itself and much lower than that of Python.
    "from functools import lru_cache\n@lru_cache(None)\ndef g(n): return n and 1 + g(n - 1)\ng(450)": "450",
    "def g(n): return n and 1 + g(n - 1)\ng(9_000)": "9000",
    "import threading; out = []; ts = [threading.Thread(target=out.append, args=(i,)) for i in range(20)]\n"
    "[t.start() for t in ts]; [t.join() for t in ts]; sorted(out) == list(range(20))": "True",
    "from concurrent.futures import ThreadPoolExecutor as Pool\nsum(Pool(8).map(abs, range(-9, 0)))": "45",
    "import tempfile\nwith tempfile.NamedTemporaryFile('w+') as f:\n    f.write('é'); f.seek(0); print(f.read())": "é",
    "import shutil; open('a', 'w').write('b'); shutil.copy2('a', 'c'); open('c').read()": "'b'",
    "print('é → ∞', flush=True)": "é → ∞",
    "import warnings; warnings.warn('careful')": None,
    "import dataclasses\n@dataclasses.dataclass\nclass P:\n    x: int\nP(3)": "P(x=3)",
    "import pickle; pickle.loads(pickle.dumps(P(4)))": "P(x=4)",
    "import asyncio\nasync def later(): return 5\nasyncio.run(later())": "5",
    "import mpmath; mpmath.mp.dps = 30; mpmath.pi": None,
    "import networkx as nx; nx.shortest_path_length(nx.path_graph(5), 0, 4)": "4",
    "from __future__ import annotations\ndef h(a: nowhere): return a\nh(1)": "1",
    "'\\udcff'.isprintable()": "False",
    "for i in range(30_000): print(f'\\r{i} done', end='')": "29999 done",
    "import sys\nfor i in range(3): print(i, end='\\r', file=sys.stderr)\nprint('42', end='\\r\\n')": "2\n42",
    "print('\\x1b[31mab\\b\\bc\\x1b[0m\\x07', '\\udcff', '\\u202e', '\\0')": r"c\x07 \udcff \u202e \x00",
}


@in_module
async def test_legitimate_work_works(box: ForkServerSandbox) -> None:
    if "networkx" in (await box.client()).libraries_missing:
        cells = {code: wanted for code, wanted in _LEGITIMATE.items() if "networkx" not in code}
    else:
        cells = _LEGITIMATE
    session = await box.session()
    for code, wanted in cells.items():
        run = await session.run(code, 30)
        assert run.status is ToolStatus.OK, (code, run.output)
        assert wanted is None or run.output == wanted, code
    assert "careful" in await told(session, "warnings.warn('very careful')")


@in_module
async def test_a_traceback_does_not_tell_where_libraries_are_installed(box: ForkServerSandbox) -> None:
    output = await told(await box.session(), "import json, sympy\nsympy.Rational('x/y/z')")
    assert 'File "sympy/core/numbers.py", line ' in output and sys.prefix not in output
    output = await told(await box.session(), "import json\njson.loads('[')")
    assert 'File "json/decoder.py", line ' in output and "JSONDecodeError" in output and sys.base_prefix not in output


@in_module
async def test_a_missing_library_is_reported_clearly(box: ForkServerSandbox) -> None:
    output = await told(await box.session(), "import no_such_library")
    assert "No module named 'no_such_library'" in output and "offline" in output


@in_module
async def test_long_output_keeps_head_and_tail(box: ForkServerSandbox) -> None:
    session = await box.session()
    run = await session.run("print('<head>'); print('é' * 300_000); print('<tail>')")
    assert run.output.startswith("<head>") and run.output.endswith("<tail>")
    assert "cut" in run.output and len(run.output) < LIMITS.output_chars + 100
    flood = await session.run("while True: print('y' * 1000)", 20)
    assert flood.status is ToolStatus.ERROR and "printed more than 4 MiB" in flood.output
    assert "\x1b" not in await told(session, "print('\\x1b[2J')")


@in_module
async def test_a_time_out_keeps_what_it_can(box: ForkServerSandbox) -> None:
    session = await box.session()
    kept = await session.run("x = 7\nimport time\ntime.sleep(60)", 0.3)
    assert kept.status is ToolStatus.TIMEOUT and "variables are kept" in kept.output
    assert await told(session, "x") == "7"
    lost = await session.run("print('begun')\nsum(range(10**13))", 0.3)
    assert lost.status is ToolStatus.TIMEOUT and "begun" in lost.output and lost.output.endswith("imports are lost.")
    assert "NameError" in await told(session, "x")  # the cell that made it was stopped itself


# A thread that has the session's own socket passes on what is written to one with the same flags in its place.
_RELAY = (
    "import fcntl, os, socket, threading\na, b = socket.socketpair()\nown = os.dup(3)\n"
    "fcntl.fcntl(a, fcntl.F_SETFL, fcntl.fcntl(3, fcntl.F_GETFL))\nos.dup2(a.fileno(), 3)\n"
    "threading.Thread(target=lambda: os.write(own, b.recv(99)), daemon=True).start()"
)


@in_module
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os; os._exit(3)", "ended the Python process"),
        ("import ctypes; ctypes.string_at(8)", "SIGSEGV"),
        ("import os; os.close(1)", "closed or replaced"),
        ("import os; os.close(3)", "the session's own socket"),
        ("import os; os.dup2(os.open('f', os.O_RDWR | os.O_CREAT), 3)", "the session's own socket"),
        (_RELAY, "the session's own socket"),
        ("import os; os.write(3, b'nonsense'); x = 1", "the session's own socket"),
    ],
)
async def test_a_lost_session_is_reported_and_replaced(box: ForkServerSandbox, code: str, reason: str) -> None:
    session = await box.session()
    run = await session.run(code, 30)
    assert run.status is ToolStatus.KILLED, run.output
    assert reason in run.output and "variables, functions and imports are lost" in run.output
    assert await told(session, "6 * 7") == "42"


@in_module
async def test_disk_and_entries_are_bounded(box: ForkServerSandbox) -> None:
    session = await box.session()
    big = "b = b'0' * (1 << 20)\nfor i in range(30):\n    open(f'f{i}', 'wb').write(b)\nprint('done')"
    assert "done" not in await told(session, big)
    session = await box.session()
    assert "done" not in await told(session, "for i in range(900): open(str(i), 'w').close()\nprint('done')\n1/0")


async def test_a_cell_too_long_is_refused() -> None:
    async with sandbox(Limits(source_bytes=100)) as box:
        session = await box.session()
        run = await session.run("1" * 101)
        assert run.status is ToolStatus.ERROR and "exceed the limit of 100" in run.output


@pytest.mark.long
async def test_all_sessions_together_are_bounded() -> None:
    async with sandbox(Limits(memory_bytes=512 << 20, total_memory_bytes=300 << 20)) as box:
        sessions = [await box.session() for _ in range(3)]
        runs = await asyncio.gather(
            *(session.run("x = b'1' * (200 << 20)\nimport time; time.sleep(2)", 20) for session in sessions)
        )
        assert any("all sessions together" in run.output for run in runs)
        assert any(run.status is ToolStatus.OK for run in runs)


@in_module
async def test_threads_left_behind_do_not_run_between_cells(box: ForkServerSandbox) -> None:
    session = await box.session()
    code = "import threading\nn = 0\ndef f():\n    global n\n    while True: n += 1\n"
    code += "threading.Thread(target=f).start()"
    await session.run(code)
    assert int(await told(session, "n")) > 0
    for _ in range(500):
        states = [state(pid) for pid in children(await box.zygote_pid())]
        if "T" in states and "R" not in states:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(states)


@in_module
async def test_cancelling_ends_the_cell(box: ForkServerSandbox) -> None:
    session = await box.session()
    task = asyncio.create_task(session.run("while True: pass", 60))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await told(session, "6 * 7") == "42"


@in_module
async def test_the_event_loop_is_not_blocked(box: ForkServerSandbox) -> None:
    sessions = [await box.session() for _ in range(3)]
    worst, ended = 0.0, False

    async def beat() -> None:
        nonlocal worst
        while not ended:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            worst = max(worst, time.monotonic() - before)

    beating = asyncio.create_task(beat())
    await asyncio.gather(*(session.run("while True: print('x' * 10_000)", 1) for session in sessions))
    ended = True
    await beating
    assert worst < 2.0
