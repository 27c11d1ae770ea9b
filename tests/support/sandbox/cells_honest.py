"""Cells that a model writes in good faith, and exactly what each must show."""

from __future__ import annotations

from tests.support.sandbox.cells import honest

_SQUARE = "def sq(x): return x * x\n"

_LIMITS_OF_TIME = [
    honest("alarm", """
        import signal
        def handler(number, frame): raise TimeoutError("too slow")
        signal.signal(signal.SIGALRM, handler)
        signal.alarm(1)
        n = 0
        try:
            while True:
                n += 1
        except TimeoutError as error: print("stopped:", error)
        finally: signal.alarm(0)
        """, "stopped: too slow"),
    honest("alarm_over_cells", """
        import signal
        class TooSlow(Exception): pass
        def handler(number, frame): raise TooSlow
        old = signal.signal(signal.SIGALRM, handler)
        """, "", then="n = 0\nold = signal.setitimer(signal.ITIMER_REAL, 0.2)\ntry:\n  while True:\n    n += 1\n"
           "except TooSlow: print('stopped')\nleft = signal.alarm(0)", then_shown="stopped"),
    honest("alarm_around_a_search", """
        import contextlib, signal, time
        @contextlib.contextmanager
        def limit(seconds):
            old = signal.signal(signal.SIGALRM, lambda *a: (_ for _ in ()).throw(TimeoutError()))
            signal.setitimer(signal.ITIMER_REAL, seconds)
            try: yield
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0); signal.signal(signal.SIGALRM, old)
        done = 0
        for n in range(3):
            try:
                with limit(0.2): time.sleep(0.0 if n != 1 else 9); done += 1
            except TimeoutError: print("skipped", n)
        print(done)
        """, "skipped 1\n2"),
    honest("limit_of_a_future", """
        import concurrent.futures as c, time
        pool = c.ThreadPoolExecutor(1)
        try: pool.submit(time.sleep, 1).result(timeout=0.2)
        except c.TimeoutError: print("too slow")
        """, "too slow"),
    honest("loop_in_c", "keep = 5\nprint('begun', flush=True)\nsum(range(10**12))", timeout=1, expect=["timeout"],
           out=["begun\n", "did not end within 1 s", "variables"]),
    honest("power_in_c", "x = 7 ** (3 * 10**8)", timeout=1, expect=["timeout"], out=["variables"]),
    honest("numbers_without_end", "import itertools\nkeep = 5\nmax(itertools.count())", timeout=1, expect=["timeout"],
           out=["variables"]),
    honest("kept_when_stopped", "keep = 5\nfound = []\nfor n in iter(int, 1): found = [n]", timeout=1,
           expect=["timeout"], then="keep, found", then_shown="(5, [0])"),
    honest("broad_except_in_a_loop", "n = 0\nwhile True:\n  try: n += 1\n  except Exception: pass", timeout=1,
           expect=["timeout"], then="print(n > 0)", then_shown="True"),
]  # fmt: skip

_POOLS = [
    honest("thread_pool", "from multiprocessing.pool import ThreadPool\nwith ThreadPool(4) as p:\n"
           "  print(p.map(lambda x: x * x, range(4)), p.starmap(pow, [(2, 3), (3, 2)]))", "[0, 1, 4, 9] [8, 9]"),
    honest("dummy_pool", "from multiprocessing.dummy import Pool\n"
           "with Pool(3) as p: print(sum(p.imap(abs, range(-9, 1))))",
           "45"),
    honest("executor_of_threads", _SQUARE + "from concurrent.futures import ThreadPoolExecutor, as_completed\n"
           "with ThreadPoolExecutor() as e:\n  waiting = [e.submit(sq, n) for n in range(5)]\n"
           "  print(sorted(f.result() for f in as_completed(waiting)))",
           "[0, 1, 4, 9, 16]"),
    honest("executor_kept_over_cells", "from concurrent.futures import ThreadPoolExecutor\nex = ThreadPoolExecutor(2)\n"
           "print(sum(ex.map(abs, [-1, -2])))", "3", then="print(sum(ex.map(abs, [-3, -4])))", then_shown="7"),
    honest("pool_of_processes", _SQUARE + "from multiprocessing import Pool\nif __name__ == '__main__':\n"
           "  with Pool(4) as p: print(p.map(sq, range(4)), p.apply_async(sq, (5,)).get(timeout=3))",
           out=["[0, 1, 4, 9] 25"]),
    honest("pool_unordered", _SQUARE + "import multiprocessing as mp\nwith mp.Pool(mp.cpu_count()) as p:\n"
           "  print(sorted(p.imap_unordered(sq, range(4), chunksize=2)))", out=["[0, 1, 4, 9]"]),
    honest("executor_of_processes", _SQUARE + "from concurrent.futures import ProcessPoolExecutor\n"
           "with ProcessPoolExecutor(max_workers=4) as e: print(list(e.map(sq, range(4))))", out=["[0, 1, 4, 9]"]),
    honest("process_alone", _SQUARE + "from multiprocessing import Process\np = Process(target=sq, args=(3,))\n"
           "p.start()",
           expect=["error", "ok"], then="print(sq(3))", then_shown="9"),
    honest("solver_with_threads", "import numpy as np\nfrom scipy.optimize import Bounds, LinearConstraint, milp\n"
           "keep = 3\n"
           "r = milp([-1, -2], integrality=[1, 1], bounds=Bounds(0, 4), constraints=LinearConstraint([[1, 1]], ub=6))\n"
           "print(round(-r.fun))", "10", then="keep", then_shown="3"),
    honest("idle_daemon", "import threading, queue\nq = queue.Queue()\nkeep = 3\n"
           "threading.Thread(target=q.get, daemon=True).start()", "", then="print(keep)", then_shown="3"),
    honest("main_thread", "import threading\nprint(threading.current_thread() is threading.main_thread())", "True"),
]  # fmt: skip

_MEMORY = [
    honest("too_big_and_caught", "keep = 5\ntry: x = [0] * 10**11\nexcept MemoryError: print('too big')", "too big",
           then="keep", then_shown="5"),
    honest("too_big_in_a_function", "keep = 5\ndef f():\n  held = []\n  while True: held.append(bytearray(10**7))\nf()",
           expect=["error"], out=["MemoryError"], then="keep", then_shown="5"),
    honest("too_big_in_a_function_and_caught", "def f():\n  held = []\n  while True: held.append(bytearray(10**7))\n"
           "try: f()\nexcept MemoryError: print('too big')", "too big", then="print(6*7)", then_shown="42"),
    honest("too_big_for_numpy", "import numpy as np\nkeep = 5\ntry: np.zeros((10**5, 10**5))\n"
           "except MemoryError: print('too big')", "too big", then="keep", then_shown="5"),
    honest("recursion_without_end", "keep = 5\ndef f(n): return f(n + 1)\nf(0)", expect=["error"],
           out=["RecursionError"], then="keep", then_shown="5"),
    honest("recursion_deep", "import sys\nsys.setrecursionlimit(10**6)\n"
           "def f(n): return 0 if n == 0 else 1 + f(n - 1)\n"
           "print(f(50_000))", "50000"),
    honest("recursion_with_cache", "import sys\nfrom functools import lru_cache\nsys.setrecursionlimit(10**6)\n"
           "@lru_cache(None)\ndef f(n): return n if n < 2 else (f(n - 1) + f(n - 2)) % 1000\nprint(f(20_000))", "125"),
    honest("recursion_kept", "import sys\nsys.setrecursionlimit(20_000)", "",
           then="def g(n): return 0 if n == 0 else 1 + g(n - 1)\nprint(g(15_000))", then_shown="15000"),
    honest("digits_many", "import math\nprint(len(str(math.factorial(50_000))))", "213237"),
    honest("digits_of_sympy", "import sympy\nn = sympy.Integer(10)**5000 + 7\nprint(len(str(n)), n % 1000)", "5001 7"),
    honest("digits_beyond_a_million", "n = 10 ** 1_100_000\nprint(len(str(n)))", "1100001", timeout=60),
    honest("digits_read", "print(int('7' * 20_000) % 9)", "5"),
]  # fmt: skip

_OTHER = [
    honest("input_of_its_own", "import io, sys\nsys.stdin = io.StringIO('3 4\\n5')\na, b = map(int, input().split())\n"
           "print(a * b)", "12", then="print(input())", then_shown="5"),
    honest("input_replaced", "input = lambda *a: '5'\nprint(int(input('n? ')))", "5"),
    honest("print_replaced", "from functools import partial\nprint = partial(print, flush=True)", "",
           then="print(42)", then_shown="42"),
    honest("class_extended", "import sympy\nsympy.Symbol.double = lambda s: 2 * s", "",
           then="print(sympy.Symbol('x').double())", then_shown="2*x"),
    honest("module_extended", "import math\nmath.half_turn = 180", "", then="print(math.half_turn)", then_shown="180"),
    honest("module_of_its_own", "f = open('own.py', 'w')\nf.write('x = 42')\nf.close()\nimport sys\n"
           "sys.path.append('.')\n"
           "import own\nprint(own.x)", "42", then="import own\nprint(own.x)", then_shown="42"),
    honest("warnings_ignored", "import warnings\nwarnings.filterwarnings('ignore')", "",
           then="warnings.warn('x')\nprint(42)", then_shown="42"),
    honest("numpy_errors_ignored", "import numpy as np\nold = np.seterr(all='ignore')", "",
           then="print(float(np.log(np.zeros(1))[0]))", then_shown="-inf"),
    honest("environment_kept", "import os\n"
           "os.environ['SIZE'] = '42'", "", then="print(os.environ['SIZE'])", then_shown="42"),
    honest("progress", "for i in range(3): print(f'\\r{i} of 2', end='')\nprint()", "2 of 2"),
    honest("colours", "print('\\x1b[31m42\\x1b[0m')", "42"),
    honest("quit_in_the_middle", "x = 5\nprint('a')\nquit()\nprint('b')", "a", then="print(x)", then_shown="5"),
    honest("exit_then_input", "exit()", "", then="try: input()\nexcept EOFError: print('none')", then_out="none"),
    honest("exit_of_a_function", "import sys\ndef f():\n  if True: sys.exit()\nprint('a')\nf()\nprint('b')", "a"),
    honest("input", "n = int(input('n? '))", expect=["error"], out=["There is no input here"]),
    honest("main_guard", "def main(): print(42)\nif __name__ == '__main__': main()", "42"),
    honest("logging_over_cells", "import logging, sys\nlogging.basicConfig(level=logging.INFO, force=True)\n"
           "logging.info('a')",
           "INFO:root:a", then="logging.info('b')", then_shown="INFO:root:b"),
    honest("stream_kept_over_cells", "import sys\nout = sys.stdout\nshow = lambda *a: print(*a, file=out)", "",
           then="show(42)", then_shown="42"),
    honest("stream_set_anew", "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8')\n"
           "print('π')",
           "π", then="print(6*7)", then_shown="42"),
    honest("stream_reconfigured", "import sys\nsys.stdout.reconfigure(encoding='utf-8', line_buffering=False)\n"
           "print('π')",
           "π", then="print('π')", then_shown="π"),
    honest("decimal_over_cells", "from decimal import Decimal, getcontext\ngetcontext().prec = 30", "",
           then="print(Decimal(1) / 3)", then_shown="0." + "3" * 30),
    honest("context_over_cells", "import contextvars\nv = contextvars.ContextVar('v')\ntoken = v.set(42)", "",
           then="print(v.get())", then_shown="42"),
    honest("precision_over_cells", "from mpmath import mp\nmp.dps = 25", "",
           then="print(mp.sqrt(2))", then_shown="1.414213562373095048801689"),
    honest("numpy_printing_over_cells", "import numpy as np\nnp.set_printoptions(precision=2)", "",
           then="print(np.array([1 / 3]))", then_shown="[0.33]"),
    honest("seed_over_cells", "import random\nrandom.seed(1)", "",
           then="print(random.random())", then_shown="0.13436424411240122"),
    honest("seed_of_numpy", "import numpy as np\nnp.random.seed(0)\nprint(np.random.randint(0, 100, 3))", "[44 47 64]"),
    honest("generator_of_numpy", "import numpy as np\n"
           "print(np.random.default_rng(0).integers(0, 100, 3))", "[85 63 51]"),
    honest("generator_over_cells", "def g():\n  for n in range(9): yield n\nit = g()\nprint(next(it))", "0",
           then="print(next(it))", then_shown="1"),
    honest("source_over_cells", "def f(a):\n  return a + 1", "",
           then="import inspect\nprint(inspect.getsource(f).strip())", then_shown="def f(a):\n  return a + 1"),
    honest("traceback_over_cells", "def f(a):\n  return a / 0", "",
           then="import traceback\ntry: f(1)\n"
           "except ZeroDivisionError: print('return a / 0' in traceback.format_exc())",
           then_shown="True"),
    honest("pickle_over_cells", "import dataclasses, pickle\n@dataclasses.dataclass\nclass P:\n  x: int\n"
           "data = pickle.dumps(P(3))",
           "", then="print(pickle.loads(data))", then_shown="P(x=3)"),
    honest("future_of_all_cells", "from __future__ import annotations\ndef f(x: int): return x\n"
           "print(f.__annotations__)",
           "{'x': 'int'}", then="def g(x: int): return x\nprint(g.__annotations__)", then_shown="{'x': 'int'}"),
    honest("folder_over_cells", "import os\nos.mkdir('sub'); os.chdir('sub')", "",
           then="print(os.path.basename(os.getcwd()))", then_shown="sub"),
    honest("database", "import sqlite3\nc = sqlite3.connect('x.db')\nwith c:\n  c.execute('create table t(n)')\n"
           "  c.executemany('insert into t values (?)', [(n,) for n in range(9)])\n"
           "print(*c.execute('select sum(n) from t').fetchone())", "36",
           then="print(len(c.execute('select n from t').fetchall()))",
           then_shown="9"),
    honest("shelf_and_lock", "import fcntl, shelve\nwith shelve.open('s') as s: s['k'] = [7]\n"
           "f = open('l', 'w'); fcntl.flock(f, fcntl.LOCK_EX); fcntl.lockf(f, fcntl.LOCK_EX)\n"
           "with shelve.open('s') as s: print(s['k'])", "[7]"),
    honest("temporary_files", "import os, tempfile\nwith tempfile.TemporaryDirectory() as d:\n"
           "  p = os.path.join(d, 'x')\n"
           "  open(p, 'w').write('42')\n  print(open(p).read(), os.path.getsize(p))", "42 2"),
    honest("timing", "import timeit, time\na = time.perf_counter()\nt = timeit.timeit('1 + 1', number=1000)\n"
           "print(t < 1, a > 0)",
           "True True"),
    honest("documentation_tests", "import doctest\ndef f(x):\n  '''\n  >>> f(2)\n  4\n  '''\n  return x * x\n"
           "print(doctest.testmod(raise_on_error=False))", "TestResults(failed=0, attempted=1)"),
    honest("unit_tests", "import unittest\nclass T(unittest.TestCase):\n"
           "  def test_a(self): self.assertEqual(6 * 7, 42)\n"
           "unittest.main(argv=[''], exit=False);", out=["Ran 1 test", "OK"]),
    honest("event_loop", "import asyncio\nasync def f(n):\n  await asyncio.sleep(0.01)\n  return n\n"
           "print(await asyncio.gather(*map(f, range(4))))", "[0, 1, 2, 3]",
           then="print(asyncio.run(f(42)))", then_shown="42"),
    honest("program_wanted", "import subprocess\nprint(subprocess.check_output(['ls']))", expect=["error"],
           out=["No processes or programs can be started here"]),
    honest("interrupt_caught", "n = 0\ntry:\n  while True:\n    n += 1\n"
           "except KeyboardInterrupt: print('stopped')", timeout=1,
           expect=["timeout", "ok"], out=["stopped"]),
    honest("warning", "import warnings\nwarnings.warn('slow')\nprint(42)", out=["UserWarning: slow", "42"]),
]  # fmt: skip

CELLS = [*_LIMITS_OF_TIME, *_POOLS, *_MEMORY, *_OTHER]
