"""What models write in good faith works as in a notebook."""

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


ALARM = "import signal, time\ndef h(*a): raise TimeoutError('slow')\nsignal.signal(signal.SIGALRM, h)\n"
CELLS = {
    ALARM + "signal.alarm(60)\ntry:\n    print('quick')\nfinally: signal.alarm(0)": "quick",
    ALARM + "signal.setitimer(signal.ITIMER_REAL, 0.05)\ntry:\n    time.sleep(9)\nexcept TimeoutError as e: print(e)":
    "slow",
    "signal.getsignal(signal.SIGALRM) is h": "True",
    "import sys\nsys.setrecursionlimit(10**6)\nfrom functools import lru_cache, cache": "",
    "def d(n): return n and 1 + d(n - 1)\nd(100_000)": "100000",
    "@cache\ndef g(n): return n and n + g(n - 1)\ng(400)": "80200",
    "def fib(n, memo={}): return n if n < 2 else memo.setdefault(n, 0) or memo.update({n: fib(n - 1) + fib(n - 2)}) or "
    "memo[n]\nfib(50)": "12586269025",
    "sys.setrecursionlimit(3_000)": "",
    "def r(): return r()\ntry: r()\nexcept RecursionError: print('too deep')": "too deep",
    "try:\n    x = [0] * 10**11\nexcept MemoryError: print('caught')": "caught",
    "x = 10**5_000\nlen(str(x)), len(repr(7**100_000)), int('9' * 5_000) % 7": "(5001, 84510, 1)",
    "import sympy\nlen(str(sympy.Integer(7)**20_000))": "16902",
    "print(len(str(sympy.factorial(5_000))))": "16326",
    "print('a')\nquit()\nprint('b')": "a",
    "print('a')\nexit(0)\nprint('b')": "a",
    "if True:\n    print('a')\n    sys.exit()\nprint('b')": "a",
    "def f():\n    print('in f')\n    sys.exit(0)\nf()": "in f",
    "def main():\n    print(42)\nif __name__ == '__main__':\n    main()": "42",
    "__name__": "'__main__'",
    "for n in range(3): print(n, end=' ')": "0 1 2 ",
    "import time\ntime.sleep(0.01); print('slept')": "slept",
    "import logging\nlogging.basicConfig(format='%(message)s', level='INFO')\nlogging.info('seen')": "seen",
    "logging.getLogger('own').warning('seen again')": "seen again",
    "import threading\nt = threading.Thread(target=print, args=('from a thread',)); t.start(); t.join()":
    "from a thread",
    "import dataclasses, pickle, inspect\n@dataclasses.dataclass(frozen=True)\nclass P:\n    x: int\n    y: int = 2":
    "",
    "pickle.loads(pickle.dumps([P(1)]))": "[P(x=1, y=2)]",
    "inspect.getsource(main).splitlines()[-1]":
    "'    print(42)'",
    "import doctest\ndef f(x):\n    '''\n    >>> f(2)\n    4\n    '''\n    return 2 * x\ndoctest.testmod()":
    "TestResults(failed=0, attempted=1)",
    "import timeit\n0 < timeit.timeit('f(2)', globals=globals(), number=10) < 9": "True",
    "import pdb, cProfile, collections, typing\nclass N(typing.NamedTuple):\n    a: int\nN(1)": "N(a=1)",
    "from enum import Enum\nclass Color(Enum):\n    RED = 1\nColor.RED": "<Color.RED: 1>",
    "import io\nsys.stdin = io.StringIO('3\\n4 5\\n')\nn = int(input()); a, b = map(int, input().split())\nn * a + b":
    "17",
    "del sys.stdin\n": "",
    "import builtins\ninput = lambda *a: '7'\nint(input('n? '))": "7",
    "del input\nimport numpy as np\nnp.set_printoptions(precision=3)\nnp.array([1 / 3])": "array([0.333])",
    "try:\n    import no_such\nexcept ImportError: print('without')": "without",
    "import copy\nold = sys.stdout\nprint('x', file=old)": "x",
    "print('y', file=old)": "y",
    "old.write('z'); 5": "z\n5",
    "class Tee:\n    def __init__(self, to): self.to = to\n    def write(self, s): self.to.write(s.upper())\n"
    "    def flush(self): pass\nsys.stdout = Tee(sys.stdout)\nprint('tee')": "TEE",
    "print('plain')": "plain",
    "import atexit\natexit.register(print, 'never')\n8": "8",
    "import gc, weakref\nclass W: pass\nw = W(); ref = weakref.ref(w); del w; ref() is None": "True",
    "from multiprocessing.pool import ThreadPool\nwith ThreadPool(3) as p: print(p.starmap(pow, [(2, 3)]))": "[8]",
    "from multiprocessing.dummy import Pool\nPool(2).map(abs, [-1])": "[1]",
    "from concurrent.futures import ThreadPoolExecutor, as_completed\nwith ThreadPoolExecutor() as e:\n"
    "    print(sorted(f.result() for f in as_completed([e.submit(abs, -n) for n in range(3)])))": "[0, 1, 2]",
    "with open('own_code.py', 'w') as file: print('x = 7', file=file)": "",
    "import own_code\nown_code.x": "7",
    "with open('wave.py', 'w') as file: print('1 / 0', file=file)\nimport wave\nwave.open.__name__": "'open'",
    "\ufeffprint('marked')": "marked",
    "import asyncio, contextvars, decimal\nown = contextvars.ContextVar('own')\nawait asyncio.sleep(0)\n"
    "decimal.getcontext().prec = 5; own.set(8); None": "",
    "1 / decimal.Decimal(3), own.get()": "(Decimal('0.33333'), 8)",
}  # fmt: skip


@in_module
async def test_cells_print_what_a_notebook_does(box: ForkServerSandbox) -> None:
    session = await box.session()
    for code, wanted in CELLS.items():
        run = await session.run(code, 20)
        assert run.output == wanted and run.status is ToolStatus.OK, (code, run)
    await session.close()


@in_module
async def test_annotations_that_are_not_evaluated_stay_so_in_later_cells(box: ForkServerSandbox) -> None:
    session = await box.session()
    assert "NameError" in await told(session, "def f(x: Later): pass")
    assert await told(session, "from __future__ import annotations\ndef f(x: Later): pass") == ""
    assert await told(session, "class N:\n    def g(self) -> N | None: pass\nN.g.__annotations__") == (
        "{'return': 'N | None'}"
    )
    await session.close()


@in_module
async def test_a_coroutine_that_is_not_awaited_is_reported_at_once_and_not_later(box: ForkServerSandbox) -> None:
    session = await box.session()
    output = await told(session, "import asyncio\nasync def main():\n    print('run')\n    return 1\nmain()")
    assert output.startswith("<coroutine object main at") and "not awaited" in output and "never awaited" not in output
    assert [await told(session, cell) for cell in "1234"] == [*"1234"]
    assert "not awaited" in await told(session, "asyncio.sleep(0);")
    assert "not awaited" in await told(session, "await asyncio.sleep(0)\nmain()")
    assert "not awaited" not in await told(session, "c = main()\nc")
    assert [await told(session, cell) for cell in ("1", "2", "3", "await c")] == [*"123", "run\n1"]
    assert "interpreter.py" not in await told(session, "c = main()\nc") + await told(session, "c = 1\n2")
    await session.close()


LATE_ERRORS = {
    "7\nx = no_such": "\n    x = no_such\n        ^^^^^^^\nNameError",
    "x = 1\nreturn 5": "    return 5\n    ^^^^^^^^\nSyntaxError: 'return' outside function",
    "if 1:\n    yield 3": "    yield 3\n    ^^^^^^^\nSyntaxError: 'yield' outside function",
    "def g():\n    from math import *": "    from math import *\n                     ^\nSyntaxError: import *",
    "'\u00e9\u4e2d'; return 5": "    '\u00e9\u4e2d'; return 5\n          ^^^^^^^^\nSyntaxError",
    "break": "    break\n    ^^^^^\nSyntaxError: 'break' outside loop",
    "def f(a, a): pass": "    def f(a, a): pass",
    "x = 1\ndef f():\n    x = 2\n    global x": "    global x\n    ^^^^^^^^\nSyntaxError: name 'x' is assigned",
    "\n\nreturn (\n  5)": "line 3\n    return (\n    ^^^^",
}


@in_module
@pytest.mark.parametrize("code", LATE_ERRORS)
async def test_an_error_in_the_last_line_or_found_late_shows_its_line_and_place(
    box: ForkServerSandbox, code: str
) -> None:
    session = await box.session()
    output = await told(session, code)
    assert LATE_ERRORS[code] in output and '  File "<cell 1>", line' in output
    await session.close()


FULL = {
    "x = []\nwhile True: x.append(b'y' * 10**6)": "len(x) > 100",
    "x = [[0] * 9 for _ in range(10**9)]": "True",
    "def f():\n    y = []\n    while True: y.append([0] * 1_000)\nf()": "callable(f)",
    "s = 'a'\nwhile True: s += s": "len(s) > 1000",
    "import numpy as np\nx = []\nwhile True: x.append(np.ones(10**6))": "len(x) > 9",
}
SLOW = ("x = [[0] * 9 for _ in range(10**9)]", "import numpy as np\nx = []\nwhile True: x.append(np.ones(10**6))")


@in_module
@pytest.mark.parametrize("code", [pytest.param(code, marks=[pytest.mark.long] * (code in SLOW)) for code in FULL])
async def test_a_cell_that_fills_the_memory_keeps_the_variables(box: ForkServerSandbox, code: str) -> None:
    session = await box.session()
    await session.run("kept = 40")
    run = await session.run(code, 20)
    assert run.status is ToolStatus.ERROR and "MemoryError" in run.output and "Delete large variables" in run.output
    assert await told(session, f"print(kept + 2, {FULL[code]})") == "42 True"
    assert await told(session, "x = s = 0\ny = bytes(10**8)\nlen(y)") == "100000000"
    await session.close()


@in_module
async def test_a_number_too_long_to_be_printed_in_time_costs_no_variables(box: ForkServerSandbox) -> None:
    session = await box.session()
    run = await session.run("kept = 7\nprint(10**(10**7))", 0.5)
    assert run.status is ToolStatus.TIMEOUT and "variables are kept" in run.output
    assert await told(session, "kept") == "7"
    await session.close()


@in_module
async def test_a_pending_alarm_does_not_strike_the_next_cell(box: ForkServerSandbox) -> None:
    session = await box.session()
    await session.run(ALARM + "signal.setitimer(signal.ITIMER_REAL, 0.05)")
    assert await told(session, "time.sleep(0.2)\n42") == "42"
    await session.close()


@in_module
async def test_what_a_program_says_of_a_shell_command_is_no_number(box: ForkServerSandbox) -> None:
    session = await box.session()
    assert (await told(session, "import os\nos.system('echo 5')")).endswith("in this one.)")
    await session.close()


@in_module
async def test_a_session_whose_memory_is_full_says_so_where_threads_or_recursion_fail_for_it(
    box: ForkServerSandbox,
) -> None:
    session = await box.session()
    pool = "from multiprocessing.pool import ThreadPool\nwith ThreadPool(8) as p: p.map(abs, [-1, -2])"
    assert "MiB" not in await told(session, 'raise RuntimeError("can\'t start new thread")')
    await session.run("import mmap\nheld, size = [], 1 << 29\nwhile size > 1 << 20:\n"
                      "    try: held.append(mmap.mmap(-1, size))\n    except OSError: size //= 2")  # fmt: skip
    assert "memory is nearly full (the limit is " in await told(session, pool)
    assert "memory is nearly full" in await told(session, "raise SystemError")
    assert "memory is nearly full" not in await told(session, "no_such_name")
    assert await told(session, f"held.clear()\n{pool}") == ""
    await session.close()


@in_module
async def test_a_session_that_earlier_threads_fill_says_so_also_where_a_library_fails_behind_that(
    box: ForkServerSandbox,
) -> None:
    session = await box.session()
    filling = (
        "import threading as t, time\nt.stack_size(1 << 18)\ntry:\n"
        "  while True: t.Thread(target=time.sleep, args=(99,), daemon=True).start()\nexcept RuntimeError: print('full')"
    )
    assert await told(session, filling) == "full"
    pool = "from multiprocessing.pool import ThreadPool\nwith ThreadPool(2) as p: print(p.map(abs, [-1]))"
    assert "those of earlier cells included" in await told(session, pool)
    behind = "try: t.Thread(target=print).start()\nexcept RuntimeError: {}"
    assert "only so many threads" in await told(session, behind.format("1 / 0"))
    assert "only so many threads" not in await told(session, behind.format("raise ValueError from None"))
    assert "only so many threads" not in await told(session, behind.format("pass") + "\n1 / 0")
    await session.close()
