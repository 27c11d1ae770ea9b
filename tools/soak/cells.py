"""The cells of a soak: attacks, and honest cells with exactly what each must show."""

from __future__ import annotations

import random
from collections.abc import Callable

_THREAD = "import os, threading, time\ndef f():\n  {act}\nthreading.Thread(target=f, daemon=True).start()"

HOSTILE = (
    "while True: pass",
    "while True:\n  try:\n    while True: pass\n  except BaseException: pass",
    "sum(range(10**13))",
    "import time; time.sleep(60)",
    "x = []\nwhile True: x.append('y' * 10**6)",
    "bytearray(10**12)",
    "import ctypes; ctypes.string_at(8)",
    "import os; os._exit(1)",
    "import os\nwhile True: os.fork()",
    "import os; os.kill(-1, 9)",
    "import os; os.kill(os.getpid(), 40)",
    "import os; os.closerange(0, 100)",
    "while True: print('z' * 10_000)",
    "import threading\ndef f():\n  while True: pass\nfor _ in range(5): threading.Thread(target=f).start()",
    "import builtins\nbuiltins.print = builtins.len = None",
    "import sys\nsys.addaudithook(lambda *a: 1 / 0)",
    "import os; os.write(3, b'nonsense')",
    "import os\nos.write(3, bytes(1))\nwhile True: os.write(1, b'late ' * 1000)",
    "import os\nwhile True: os.write(3, bytes(1 << 16))",
    "import socket\ns = socket.socket(fileno=3); s.shutdown(socket.SHUT_RD); s.detach()",
    "import array, os, socket\ns = socket.socket(fileno=os.dup(3))\n"
    "s.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [3, 1]))])\nos._exit(0)",
    "import sys\nf = sys._getframe()\nwhile f:\n  for v in f.f_locals.values():\n"
    "    if isinstance(v, bytes): __import__('os').write(3, v[:16] + bytes(1))\n  f = f.f_back",
    _THREAD.format(act="time.sleep(60)"),
    _THREAD.format(act="time.sleep(0.2); os._exit(0)"),
    _THREAD.format(act="while True: os.read(3, 1 << 16)"),
    _THREAD.format(act="while True: sum(range(10**6))"),
    "import ctypes\nctypes.CDLL(None).syscall(60, 0)",
    "import io, linecache\nlinecache.cache = io.TextIOWrapper = io.FileIO = None",
    "import os\nos.set_blocking(1, False); os.set_blocking(3, False)",
    "import signal\nsignal.setitimer(signal.ITIMER_REAL, 0.6)\nsignal.setitimer = None",
    "import faulthandler\nfaulthandler.dump_traceback_later(0.6, exit=True)",
    "import sys\nsys.setrecursionlimit(10**9)\ndef f(): return [f()]\nf()",
    "import socket; socket.create_connection(('127.0.0.1', 50051))",
    "print('a')\nquit()",
)
# These use up the session's own files, memory or threads, so what comes after them in it may rightly fail.
FILLING = (
    "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(99,)).start()",
    "for i in range(10**6): open(str(i), 'w').write('x')",
    "open('f', 'wb').write(b'x' * 10**8)",
    "import os\nfor i in range(10**6): os.makedirs(f'd{i}/a/b/c')",
    "import os\nheld = []\nfor i in range(60):\n  f = open('u', 'wb', 0); os.unlink('u'); held.append(f)\n"
    "  f.write(b'x' * 10**7)",
)
# What these draw depends on the seed of the session alone.
DRAW = "import random, numpy, sympy\nprint(random.random(), numpy.random.random(), sympy.randprime(10**9, 10**10))"
# The value is kept when the loop is stopped, or its loss is said, unless not even the first line was reached.
STOPPED = "keep = {value}\nn = 0\nwhile True: n += 1"
KEPT = "print(keep)"

_HONEST: tuple[Callable[[int, int], tuple[str, str]], ...] = (
    lambda a, b: (f"print({a} * {b})", str(a * b)),
    lambda a, b: (f"x = {a}\ndef f(y): return x + y\nf({b})", str(a + b)),
    lambda a, b: (f"import sympy; sympy.expand((sympy.Symbol('t') + {a})**2).subs('t', {b})", str((a + b) ** 2)),
    lambda a, b: (f"import numpy; int(numpy.arange({b % 1000}).sum())", str(sum(range(b % 1000)))),
    lambda a, b: (f"f = open('note', 'w')\nn = f.write('{a}')\nf.close()\nopen('note').read()", repr(str(a))),
    lambda a, b: (f"import sys\nsys.stdout.write(str({a} + {b}))", str(a + b)),
    lambda a, b: (f"print({a}, end='')\n{b}", f"{a}\n{b}"),
    lambda a, b: (f"import os\nn = os.write(1, b'{a}')\n{b}", f"{a}\n{b}"),
    lambda a, b: ("from multiprocessing.pool import ThreadPool\n"
           f"with ThreadPool(2) as p: print(p.map(abs, [-{a}, -{b}]))",
                  f"[{a}, {b}]"),
    lambda a, b: ("import signal\ndef h(*a): raise TimeoutError\nold = signal.signal(signal.SIGALRM, h)\n"
                  "t = signal.setitimer(signal.ITIMER_REAL, 0.05)\nn = 0\ntry:\n  while True:\n    n += 1\n"
                  f"except TimeoutError: print({a})\nt = signal.setitimer(signal.ITIMER_REAL, 0)", str(a)),
    lambda a, b: (f"try: x = [0] * 10**12\nexcept MemoryError: print({a})", str(a)),
    lambda a, b: (f"import sys\nsys.setrecursionlimit(10**5)\ndef g(n): return {a} if n == 0 else g(n - 1)\n"
           "g(5000)", str(a)),
    lambda a, b: (f"import sqlite3\nc = sqlite3.connect('x.db')\nprint(*c.execute('select {a} + {b}').fetchone())",
                  str(a + b)),
    lambda a, b: (f"import asyncio\nasync def w(): return {a}\nawait w()", str(a)),
    lambda a, b: (f"print({a})\nprint({b})\nquit()\nprint(0)", f"{a}\n{b}"),
    lambda a, b: (f"sum(range({b}))", str(sum(range(b)))),
)  # fmt: skip


def honest(draw: random.Random) -> tuple[str, str]:
    """A cell, and what it must show."""
    return draw.choice(_HONEST)(draw.randrange(2, 10**6), draw.randrange(2, 10**6))
