"""Cells that leave the session such that an innocent next cell fails, prints nothing, or prints what is not its own."""

from __future__ import annotations

from tests.support.sandbox.cells import attack

_FAILS = {"then": "x = 1\nx / 0", "then_out": "ZeroDivisionError: division by zero"}
_AWAITS = {"then": "import asyncio\nawait asyncio.sleep(0)\nprint(6*7)"}
_WAITS = {"then": "import time\ntime.sleep(1.5)\nprint(6*7)"}
_ALONE = {"then_notout": ["99"]}

_TOOLS = [
    attack("parse_another", "state", """
        import ast
        parse = ast.parse
        ast.parse = lambda s, *a, **k: parse("print(99)", *a, **k)
        """, **_ALONE),
    attack("compile_another", "state", """
        import builtins
        real = compile
        builtins.compile = lambda s, *a, **k: real("print(99)", "<x>", "exec")
        builtins.exec = builtins.eval = lambda *a: None
        """, **_ALONE),
    attack("streams_swallow", "state", """
        import io
        io.TextIOWrapper = lambda *a, **k: io.StringIO()
        """),
    attack("raw_stream_swallows", "state", """
        import io
        class Quiet(io.FileIO):
            def write(self, data): return len(data)
        io.FileIO = Quiet
        """),
    attack("getline_gone", "state", "import linecache\nlinecache.getline = linecache.checkcache = None", **_FAILS),
    attack("linecache_counts", "state", """
        import linecache
        class Lost(dict):
            def __setitem__(self, name, value): pass
            def __len__(self): 1 / 0
        linecache.cache = Lost()
        """),
    attack("traceback_gone", "state", """
        import traceback
        class Gone:
            def __init__(self, *a, **k): raise SystemExit
        traceback.TracebackException = traceback.StackSummary = traceback.FrameSummary = Gone
        """, **_FAILS),
    attack("suppress_gone", "state", "import contextlib\ncontextlib.suppress = contextlib.ExitStack = None", **_FAILS),
    attack("every_flag_a_coroutine", "state", "import inspect\ninspect.CO_COROUTINE = 0xffff", **_ALONE),
    attack("asyncio_run_gone", "state", "import asyncio\nasyncio.run = asyncio.Runner = None", **_AWAITS),
    attack("loop_said_to_run", "state", "import asyncio\n"
           "asyncio._set_running_loop(asyncio.new_event_loop())", **_AWAITS),
    attack("loop_policy_broken", "state", """
        import asyncio
        class Policy(asyncio.DefaultEventLoopPolicy):
            def new_event_loop(self): raise OSError("no loop")
        asyncio.set_event_loop_policy(Policy())
        """, **_AWAITS),
    attack("write_gone", "state", "import os\nos.write = lambda d, data: len(data)\nos.read = None", **_FAILS),
    attack("signal_calls_gone", "state", """
        import signal
        signal.setitimer(signal.ITIMER_REAL, 1)
        signal.setitimer = signal.alarm = lambda *a: (0.0, 0.0)
        """, **_WAITS),
    attack("settrace_gone", "state", """
        import sys
        sys.settrace(lambda *a: print(99))
        sys.settrace = sys.setprofile = lambda f: None
        """, **_ALONE),
    attack("runner_found_by_gc", "state", """
        import gc
        for thing in gc.get_objects():
            if type(thing).__name__ == "Interpreter" and hasattr(thing, "run"):
                type(thing).run = lambda self, source: 0
        """),
    attack("runner_modules_emptied", "state", """
        import sys
        for name, module in list(sys.modules.items()):
            if name.startswith("agent."): vars(module).clear()
        """),
    attack("runner_modules_replaced", "state", """
        import ast, sys
        for name, module in list(sys.modules.items()):
            if name.startswith("agent.sandbox") and hasattr(module, "read"):
                module.read = lambda s, n: (ast.parse("print(99)"), s, "")
        """, **_ALONE),
    attack("frames_above_rewritten", "state", """
        import ctypes, sys
        frame = sys._getframe().f_back
        while frame:
            for name, value in list(frame.f_locals.items()):
                if isinstance(value, (str, bytes)) or callable(value): frame.f_locals[name] = None
            ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), 1)
            frame = frame.f_back
        """),
    attack("truth_of_builtins", "state", """
        import builtins
        for name in ("len", "max", "setattr", "isinstance", "bytes", "str", "repr", "getattr", "vars", "list", "type"):
            setattr(builtins, name, lambda *a, **k: 1 / 0)
        """),
    attack("builtins_as_module", "state", """
        import sys, types
        fake = types.ModuleType("builtins"); fake.print = lambda *a: None
        sys.modules["builtins"] = fake
        """),
]  # fmt: skip

_LATER = [
    attack("hook_prints", "state", """
        import sys
        sys.addaudithook(lambda event, args: print(99) if event == "compile" else None)
        """, **_ALONE),
    attack("hook_sleeps", "state", """
        import sys, time
        sys.addaudithook(lambda event, args: time.sleep(100) if event == "exec" else None)
        """),
    attack("hook_ends_python", "state", """
        import os, sys, time
        start = time.monotonic()
        sys.addaudithook(lambda e, a: os._exit(0) if e == "exec" and time.monotonic() > start + 0.2 else None)
        """, **_WAITS),
    attack("collector_calls", "state", "import gc, os\ngc.callbacks.append(lambda *a: os._exit(0))",
           then="import gc\ngc.collect()\nprint(6*7)"),
    attack("collector_waits", "state", "import gc, time\ngc.callbacks.append(lambda *a: time.sleep(50))",
           then="import gc\ngc.collect()\nprint(6*7)"),
    attack("fault_timer", "state", "import faulthandler\nfaulthandler.dump_traceback_later(0.5, exit=True, file=1)",
           **_WAITS),
    attack("alarm_kept_by_libc", "state", "import ctypes\nctypes.CDLL(None).alarm(1)", **_WAITS),
    attack("posix_timer_kills", "state", """
        import ctypes
        libc = ctypes.CDLL(None)
        event = (ctypes.c_int * 16)(0, 0, 9)
        timer = ctypes.c_void_p()
        when = (ctypes.c_long * 4)(0, 0, 0, 600_000_000)
        if not libc.timer_create(1, event, ctypes.byref(timer)): libc.timer_settime(timer, 0, when, None)
        """, **_WAITS),
    attack("wakeup_byte", "state", """
        import os, signal
        os.set_blocking(1, False)
        signal.set_wakeup_fd(1, warn_on_full_buffer=False)
        signal.signal(signal.SIGCONT, lambda *a: None)
        """, then_notout=["x12"]),
    attack("wakeup_on_control", "state", """
        import os, signal
        os.set_blocking(3, False)
        signal.set_wakeup_fd(3, warn_on_full_buffer=False)
        for n in (signal.SIGCONT, signal.SIGUSR1): signal.signal(n, lambda *a: None)
        """),
    attack("interrupt_ignored_by_libc", "state", """
        import ctypes, signal
        ctypes.CDLL(None).signal(2, 1)
        signal.signal = lambda *a: None
        """, then="keep = 42\nprint(keep)"),
    attack("output_made_nonblocking", "state", "import os\nos.set_blocking(1, False); os.set_blocking(2, False)",
           then="print('x' * 3_000_000)\nprint(6*7)"),
    attack("output_in_packets", "state", "import fcntl, os\nfcntl.fcntl(1, fcntl.F_SETFL, os.O_DIRECT | os.O_NONBLOCK)",
           then="print('x' * 3_000_000)\nprint(6*7)"),
    attack("mask_of_new_files", "state", "import os\nos.umask(0o777)",
           then="f = open('m', 'w')\nf.write('42')\nf.close()\nprint(open('m').read())"),
    attack("standard_streams_deleted", "state", "import sys\ndel sys.stdout, sys.stderr, sys.stdin, sys.__stdout__"),
    attack("standard_streams_detached", "state", "import sys\nsys.stdout.detach(); sys.__stderr__.detach()"),
    attack("unfinished_line_of_an_old_stream", "state", """
        import io, sys
        old, sys.stdout = sys.stdout, io.StringIO()
        held = [old.write("99")]
        """, then="import gc\ndel old\ngc.collect()\nprint(6*7)", **_ALONE),
    attack("import_hook_left", "state", """
        import builtins
        real = builtins.__import__
        def fails(name, *a): raise ImportError(name)
        builtins.__import__ = fails
        """, then="import math\nprint(math.comb(9, 4) // 3)"),
    attack("paths_emptied", "state", "import sys\nsys.path.clear(); sys.meta_path.clear(); sys.path_hooks.clear()",
           then="import wave\nprint(6*7)"),
    attack("class_of_the_errors_stream", "state", "import sys\nt = type(sys.stderr)\n"
           "try: t.write = lambda self, text: len(text)\nexcept TypeError: pass",
           then="import sys\nprint(6*7, file=sys.stderr)"),
    attack("ends_of_lines_changed", "state", "import sys\nsys.stdout.reconfigure(newline='\\r')",
           then="print(99)\nprint(6*7)", then_out=["99\n42"]),
    attack("stream_not_flushed", "state", "import sys\n"
           "sys.stdout.reconfigure(line_buffering=False, write_through=False)",
           then="import os\nprint(6*7)\nos._exit(0)"),
    attack("handler_of_odd_letters", "state", """
        import codecs
        for name in ("backslashreplace", "replace", "surrogateescape"): codecs.register_error(name, lambda e: ("99",
           e.end))
        """, then="print('\\udcff', 6*7)", **_ALONE),
    attack("threads_traced", "state", """
        import threading
        threading.settrace(lambda *a: 1 / 0)
        threading.setprofile(lambda *a: 1 / 0)
        """, then="import threading\nt = threading.Thread(target=print, args=(42,))\nt.start(); t.join()"),
    attack("generators_hooked", "state", """
        import sys
        sys.set_asyncgen_hooks(firstiter=lambda g: 1 / 0)
        sys.set_coroutine_origin_tracking_depth(1000)
        """, then="async def g():\n  yield 42\nasync for n in g(): print(n)"),
    attack("warnings_are_errors", "state", "import warnings\nwarnings.showwarning = lambda *a: print(99)\n"
           "warnings.filters.clear()", then="print(6*7)", **_ALONE),
]  # fmt: skip

_THREADS = [
    attack(f"thread_{name}", "state", f"""
        import _thread, builtins, ctypes, io, os, signal, sys, threading, time
        main = threading.get_ident()
        def f():
            time.sleep(0.4)
            {act}
        threading.Thread(target=f, daemon=True).start()
        """, then="import time\ntime.sleep(1.2)\nprint(6*7)", **_ALONE)
    for name, act in (
        ("interrupts", "_thread.interrupt_main()"),
        ("raises", "ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(main), ctypes.py_object(KeyError))"),
        ("closes_output", "os.close(1)"),
        ("turns_output", "os.dup2(os.open('/dev/null', 1), 1)"),
        ("swallows", "sys.stdout = io.StringIO()"),
        ("takes_print", "builtins.print = lambda *a: None"),
        ("closes_control", "os.close(3)"),
        ("signals", "os.kill(os.getpid(), signal.SIGTERM)"),
        ("crashes", "ctypes.string_at(8)"),
        ("stops", "os.kill(os.getpid(), signal.SIGSTOP)"),
        ("holds_the_lock", "ctypes.PyDLL(None).usleep(60_000_000)"),
    )
]  # fmt: skip

CELLS = [*_TOOLS, *_LATER, *_THREADS]
