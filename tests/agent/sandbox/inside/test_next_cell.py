"""The next cell: whatever one has done to Python, the one after it works, or the loss is said."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from agent.sandbox.forkserver import ForkServerSandbox
from tests.support.sandbox.sandboxes import sandbox, told

in_module = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def box() -> AsyncIterator[ForkServerSandbox]:
    async with sandbox() as made:
        yield made


KEPT = [  # after these, the next cell finds the variables of before
    "import linecache\nlinecache.cache = None",
    "import linecache\nlinecache.cache.clear(); del linecache.cache",
    "import linecache, traceback\nlinecache.getlines = traceback.TracebackException = traceback.StackSummary = None",
    "import traceback\nvars(traceback).clear()",
    "import linecache\nvars(linecache).clear()",
    "import ast\nast.parse = ast.Expr = ast.Expression = ast.iter_child_nodes = None",
    "import ast\nvars(ast).clear()",
    "import io\nio.TextIOWrapper = io.BufferedWriter = io.FileIO = io.open = None",
    "import codecs\ncodecs.lookup = codecs.getwriter = None",
    "import codecs\nfor name in ('strict', 'backslashreplace', 'replace', 'surrogatepass'):\n"
    "    codecs.register_error(name, lambda error: 1 / 0)",
    "import re\nre.compile = re.match = None",
    "import inspect, tokenize, warnings, types\ninspect.CO_COROUTINE = tokenize.open = types.ModuleType = None",
    "import builtins\nbuiltins.print = builtins.len = builtins.eval = builtins.compile = builtins.isinstance = None",
    "import builtins\nbuiltins.__import__ = builtins.__build_class__ = lambda *a, **k: 1 / 0",
    "import builtins\nvars(builtins).clear()",
    "import builtins\nfor name in ('repr', 'str', 'BaseException', 'map', 'set'): delattr(builtins, name)",
    "import os\nos.write = os.fstat = os.getcwd = os.read = None",
    "import signal\nsignal.signal = signal.setitimer = signal.SIGINT = None",
    "import sys\nsys.stdout = sys.stderr = sys.stdin = None",
    "import sys\ndel sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__",
    "import sys\nsys.stdout.close(); sys.stderr.close(); sys.stdin.close()",
    "import sys\nsys.stdout.detach()",
    "import gc, sys\ngc.get_referents = gc.get_referrers = None\nsys.stdout.close()",
    "import sys\nsys.stdout.buffer.raw.close()",
    "import sys\nsys.stdout.reconfigure(encoding='utf-16', errors='strict', line_buffering=False)",
    "import sys\nsys.stdout.write = lambda text: 0",
    "import sys\nclass Quiet:\n    def write(self, text): raise OSError\n    def flush(self): raise OSError\n"
    "sys.stdout = sys.stderr = Quiet()",
    "import os\nfor n in range(4): os.set_blocking(n, False)",
    "import os, sys\nos.close(0)",
    "import sys, types\nclass M(types.ModuleType): __dict__ = property(lambda self: {})\n"
    "sys.modules['__main__'].__class__ = M",
    "import sys, types\nclass M(types.ModuleType):\n    __class__ = property(lambda self: M)\n"
    "    def __setattr__(self, *a): 1 / 0\nsys.modules['__main__'].__class__ = M",
    "import sys\nsys.stdout.buffer.write = sys.stderr.buffer.write = lambda data: len(data)",
    "import sys\nsys.stdout.buffer.raw.write = sys.stderr.buffer.raw.write = lambda data: len(data)",
    "import sys\nsys.stdout.buffer.flush = sys.stderr.buffer.flush = lambda: None",
    "import sys\nfor s in (sys.stdout, sys.stderr): s.__init__(open('log', 'wb'), *'utf-8 backslashreplace'.split())",
    "import sys\nfor s in (sys.stdout, sys.stderr): s.buffer.__init__(open('log', 'wb', 0))",
    "import os, sys\nfor s in (sys.stdout, sys.stderr): s.buffer.raw.__init__(os.open('/dev/null', 1), 'w')",
    "import sys\nsys.stderr.write.__code__ = (lambda text: 0).__code__",
    "import io, sys\nsys.stderr.write.__defaults__ = (io.BytesIO(), {})",
    "import os\nread, write = os.pipe()\nos.dup2(read, 0)",
    "import os\nos.dup2(3, 0)",
    "import os, sys\nopen('in', 'w').write('of before\\n' * 9); os.dup2(os.open('in', 0), 0); input()",
    "import sys\nsys.stdin.read = sys.stdin.buffer.raw.readinto = lambda *a: 1 / 0",
    "import os, sys\nsys.stdin.buffer.raw.__init__(os.pipe()[0])",
    "import sys\nsys.modules.clear()",
    "import sys\nsys.modules = {}",
    "import sys\nfor name in ('os', 'io', 'codecs', 'encodings.utf_8', 'builtins', '__main__'): del sys.modules[name]",
    "import sys\nsys.path.clear(); sys.path_hooks.clear(); sys.meta_path.clear()",
    "import sys\nsys.path = sys.path_hooks = sys.meta_path = None",
    "import sys\nclass F:\n    def find_spec(self, *a): raise SystemExit('no')\nsys.meta_path.insert(0, F())",
    "import sys\nsys.meta_path.insert(0, type('F', (), {'find_spec': lambda *a: 1 / 0}))",
    "import sys\nsys.setrecursionlimit(45)",
    "import sys\nsys.settrace(lambda *a: 1 / 0)",
    "import sys\nsys.setprofile(lambda *a: 1 / 0)",
    "import threading\nthreading.settrace(lambda *a: 1 / 0); threading.setprofile(lambda *a: 1 / 0)",
    "import sys\nsys.excepthook = sys.displayhook = sys.unraisablehook = sys.breakpointhook = None",
    "import sys\nsys.setswitchinterval(1_000)",
    "import gc\ngc.disable(); gc.callbacks.append(lambda *a: 1 / 0); gc.set_debug(gc.DEBUG_STATS)",
    "import warnings\nwarnings.simplefilter('error')",
    "import warnings\nwarnings.filters = None",
    "import os\nos.umask(0o777)",
    "import os\nos.mkdir('d'); os.chdir('d'); os.rmdir('../d')",
    "import signal\ndef h(*a): raise RuntimeError('woken')\nsignal.signal(signal.SIGCONT, h)",
    "import signal\nfor n in signal.valid_signals() - {9, 19}: signal.signal(n, lambda *a: 1 / 0)",
    "import os, signal, threading, time\nsignal.signal(signal.SIGUSR1, lambda *a: 1 / 0)\ndef send():\n"
    "    while True: os.kill(os.getpid(), signal.SIGUSR1); time.sleep(0.001)\nthreading.Thread(target=send).start()",
    "import builtins\nclass Equal:\n    def __eq__(self, other): return True\nbuiltins.print = Equal()",
    "import os, sys\nclass Never:\n    def __eq__(self, other):\n        while True: pass\nos.getcwd = Never()",
    "import signal\nclass Equal:\n    def __eq__(self, other): return True\n    def __call__(self, *a): 1 / 0\n"
    "signal.signal(signal.SIGCONT, Equal())",
    "import signal\nfor n in signal.valid_signals() - {9, 19}: signal.signal(n, signal.SIG_IGN)",
    "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())",
    "import signal\nsignal.signal(signal.SIGALRM, lambda *a: 1 / 0); signal.setitimer(signal.ITIMER_REAL, 1e-4, 1e-4)",
    "import signal\nsignal.setitimer(signal.ITIMER_REAL, 0.05); signal.setitimer(signal.ITIMER_PROF, 0.05)",
    "import faulthandler\nfaulthandler.dump_traceback_later(0.05, exit=True)",
    "import faulthandler, signal\nfaulthandler.register(signal.SIGCONT); faulthandler.register(signal.SIGINT)",
    "import _imp\n_imp.acquire_lock(); _imp.acquire_lock()",
    "import asyncio\nasyncio._set_running_loop(asyncio.new_event_loop())",
    "__builtins__ = None",
    "__builtins__ = {}\n__name__ = 7",
    "_ = __ = ___ = None\ndel _",
    "import time, random\ntime.time = time.monotonic = random.random = None",
    "quit()",
    "exit",
    "globals()['__builtins__'].print = None",
    "import typing, collections, functools, contextlib, operator\n"
    "for m in (typing, collections, functools, contextlib, operator): vars(m).clear()",
]  # fmt: skip
IMPORTS = [  # after these, modules that were not loaded before can still be imported
    "import importlib._bootstrap as b\nb._find_and_load = b._handle_fromlist = b._find_spec = None",
    "import importlib.machinery as m\nm.PathFinder.find_spec = m.FileFinder.find_spec = m.ModuleSpec.__init__ = None",
    "import importlib.machinery as m\nm.FileFinder.__getattribute__ = m.SourceFileLoader.exec_module = print",
    "import sys\nsys.meta_path[-1].find_spec = sys.meta_path[-2].find_spec = lambda *a: None",
    "import _io, posix\n_io.open_code = posix.stat = posix.listdir = None",
    "import sys\nfor place in sys.path_importer_cache: sys.path_importer_cache[place] = None",
    "import sys\nsys.path_hooks[:] = [lambda place: 1 / 0]\nsys.path_importer_cache.clear()",
    "import sys\nsys.setdlopenflags(0)",
    "import sys\nfor name in [*sys.modules]: sys.modules[name] = None",
    "import sys\nclass F:\n    __module__ = 'numpy'\n    def find_spec(self, *a): 1 / 0\nsys.meta_path.insert(0, F())",
    "import gc\ndef strike(*a): 1 / 0\nstrike.__module__ = 'numpy'\ngc.callbacks.append(strike)",
]
LOST = [  # after these it may find that the session was restarted
    "import os\nos.close(1)",
    "import os\nos.dup2(os.open('f', os.O_RDWR | os.O_CREAT), 2)",
    "import os, socket\nos.dup2(socket.socketpair()[0].fileno(), 3)",
    "import gc\nfor each in gc.get_objects():\n    if type(each).__name__ in ('Interpreter', 'Repair', 'Streams'):\n"
    "        vars(each).clear()",
    "import ctypes\nhook = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_char_p, ctypes.py_object, ctypes.c_void_p)\n"
    "hook = hook(lambda event, args, data: -1 if event == b'exec' else 0)\n"
    "ctypes.pythonapi.PySys_AddAuditHook(hook, None)",
    "import ast\nast.Expr.__init__ = None\nast.Module.body = property(lambda self: 1 / 0)",
    "import os, resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 20, 1 << 20))",
]
INNOCENT = """
import sys, json, linecache, io, os, traceback
class Point:
    x: int = 6
def f(n): return sum(map(len, ['a' * n]))
with open('own', 'w') as file: file.write('7')
assert sys.stdin.read() == '' and open('own').read() == '7'
print(Point.x * 7, file=sys.stderr)
print(Point.x * 7 + f(0))
"""


@in_module
@pytest.mark.parametrize("code", KEPT)
async def test_the_next_cell_works_and_finds_the_variables(box: ForkServerSandbox, code: str) -> None:
    session = await box.session()
    await session.run("kept = 40")
    await session.run(code)
    assert await told(session, "print(kept + 2)") == "42"
    assert "\n42\n42\n(There is no input" in f"\n{await told(session, INNOCENT)}"
    assert "ZeroDivisionError: division by zero" in await told(session, "def g(): return 1 / 0\ng()")
    await session.close()


@in_module
@pytest.mark.parametrize("code", IMPORTS)
async def test_the_next_cell_imports_and_finds_the_variables(box: ForkServerSandbox, code: str) -> None:
    session = await box.session()
    await session.run("kept = 40")
    await session.run(code)
    assert await told(session, "import gc, wave, cProfile\ngc.collect()\nprint(kept + 2)") == "42"
    await session.close()


@in_module
async def test_codec_errors_are_handled_as_ever_in_the_next_cell(box: ForkServerSandbox) -> None:
    session = await box.session()
    code = "for name in ('strict', 'replace'): codecs.register_error(name, lambda error: ('7', error.end))"
    await session.run(f"import codecs\n{code}")
    assert await told(session, "b'\\xff'.decode(errors='replace')") == "'\ufffd'"
    assert "UnicodeDecodeError" in await told(session, "b'\\xff'.decode()")
    await session.close()


@in_module
@pytest.mark.parametrize("code", LOST)
async def test_what_cannot_be_repaired_is_reported(box: ForkServerSandbox, code: str) -> None:
    session = await box.session()
    first = await told(session, f"kept = 40\n{code}")
    output = await told(session, "print(6 * 7)")
    assert output.endswith("42") and ("restarted" in first + output or await told(session, "kept") == "40")
    await session.close()


@in_module
async def test_output_held_back_by_a_full_pipe_is_not_shown_behind_the_next_cell(box: ForkServerSandbox) -> None:
    session = await box.session()
    await session.run("import os\nos.set_blocking(1, False)\nfor _ in range(9): print('x' * 100_000, end='')")
    assert await told(session, "7") == "7"
    await session.close()


@in_module
async def test_an_audit_hook_is_refused_with_a_reason(box: ForkServerSandbox) -> None:
    session = await box.session()
    assert "could never be taken away" in await told(session, "import sys\nsys.addaudithook(print)")
    assert await told(session, "import builtins\nbuiltins.len = None") == ""  # all watched names are put back after it
    assert "could never be taken away" in await told(session, "sys.addaudithook(print)")
    await session.close()


@in_module
async def test_what_a_cell_set_for_itself_stays(box: ForkServerSandbox) -> None:
    session = await box.session()
    await session.run(
        "import os, signal, sys, types, warnings\nos.mkdir('d'); os.chdir('d')\nsys.path.append('lib')\n"
        "warnings.filterwarnings('ignore')\nsys.argv = ['a', 'b']\nsys.setrecursionlimit(5_000)\n"
        "def h(*a): raise TimeoutError\nsignal.signal(signal.SIGALRM, h)\n"
        "sys.modules['own'] = types.ModuleType('own')\nbuiltins = __import__('builtins')\nbuiltins.extra = 7"
    )
    await session.run("import sys\nsys.stdout = None\nsys.modules.clear()")
    output = await told(
        session,
        "import warnings\nwarnings.warn('shown')\nfrom sys import path, argv, getrecursionlimit\n"
        "os.getcwd()[-1], path[-1], argv, getrecursionlimit(), signal.getsignal(signal.SIGALRM) is h, extra",
    )
    assert output == "('d', 'lib', ['a', 'b'], 5000, True, 7)"
    await session.close()


@in_module
async def test_a_filter_that_raises_is_left_out_and_others_stay(box: ForkServerSandbox) -> None:
    session = await box.session()
    await session.run("import warnings\nwarnings.filterwarnings('ignore', 'dull')\nwarnings.simplefilter('error')")
    assert "dull" not in await told(session, "warnings.warn('dull')")
    assert "UserWarning: news" in await told(session, "warnings.warn('news'); print('on')")
    await session.close()
