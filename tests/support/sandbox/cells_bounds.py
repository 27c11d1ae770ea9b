"""Cells that reach for another session, or for more of the machine than one session may have."""

from __future__ import annotations

from tests.support.sandbox.cells import Cell, attack, honest


def _lock(name: str, take: str) -> Cell:
    """The cell takes a lock on something that all sessions see; a fresh session must be able to take it, too."""
    code = "import fcntl, os\n" + take.replace("TAKE", "fcntl.LOCK_EX | fcntl.LOCK_NB")
    return attack(f"lock_{name}", "between", code, fresh=code + "\nprint('FREE')", fresh_out="FREE")


def _draws(name: str, module: str, expression: str) -> Cell:
    """Unseeded, a generator draws something else in each session that has another seed."""
    return honest(f"draws_{name}", f"import {module}\nprint({expression})", timeout=30, differs=True)


_BETWEEN = [
    _lock("library", "lib = os.open(os.__file__, os.O_RDONLY)\nfcntl.flock(lib, TAKE)"),
    _lock("library_folder", "lib = os.open(os.path.dirname(os.__file__), os.O_RDONLY)\nfcntl.flock(lib, TAKE)"),
    _lock("root", "lib = os.open('/usr/lib', os.O_RDONLY)\nfcntl.flock(lib, TAKE)"),
    _lock("null", "null = os.open('/dev/null', os.O_RDWR)\nfcntl.flock(null, TAKE)"),
    _lock("null_record", "null = os.open('/dev/null', os.O_RDWR)\nfcntl.lockf(null, TAKE)"),
    _lock("standard_input", "fcntl.flock(0, TAKE)"),
    _lock("output", "fcntl.flock(1, TAKE)"),
    _draws("random", "random", "random.random()"),
    _draws("numpy", "numpy", "numpy.random.random()"),
    _draws("numpy_permutation", "numpy", "numpy.random.permutation(10**4)[:9]"),
    _draws("sympy", "sympy", "sympy.core.random.random()"),
    _draws("primes", "sympy", "sympy.randprime(10**30, 10**31)"),
    _draws("sympy_samples", "sympy.core.random as r", "r.sample(range(10**6), 3)"),
    _draws("mpmath", "mpmath", "mpmath.rand()"),
    _draws("graphs", "networkx", "sorted(networkx.gnp_random_graph(30, 0.5).edges)[:40]"),
    _draws("scipy", "scipy.stats", "scipy.stats.norm.rvs(size=3)"),
    attack("files_of_others", "between", "open('note', 'w').write('99')", fresh="""
import glob, os
up = os.path.dirname(os.getcwd())
tried = [f"{up}/{n}/note" for n in range(1000)] + glob.glob(f"{up}/*/note") + glob.glob("/tmp/*/*/note")
read = []
for path in tried:
    try: read.append(open(path).read())
    except OSError: pass
print("READ" if read else "ALONE")
""", fresh_out="ALONE"),
    attack("folders_to_wipe", "between", """
        import os
        for i in range(10**6):
            try:
                os.makedirs(f"d{i}/a/b/c")
            except OSError: os.kill(os.getpid(), 9)
        """, timeout=4, fresh="print(6*7)", fresh_out="42"),
    attack("other_processes_asked", "between", """
        import ctypes, os
        libc, found = ctypes.CDLL(None), []
        for pid in range(2, 3000):
            if pid != os.getpid() and libc.syscall(203, pid, 8, ctypes.byref(ctypes.c_long(1))) >= 0: found.append(pid)
            if pid != os.getpid() and libc.syscall(251, 1, pid, 0x4007) >= 0: found.append(pid)
        print("REACHED" if found else "none", found)
        """, notout=["REACHED"]),
]  # fmt: skip

_FILES = """
    import mmap, os, time
    held, block = [], b"\\0" * (1 << 20)
    for i in range(30):
        {make}
        time.sleep(0.03)
    time.sleep(0.5)
    print("HELD" + " IT ALL")
"""


def _files(name: str, make: str) -> Cell:
    code = _FILES.format(make=make.replace("\n", "\n        "))
    return attack(f"files_{name}", "bounds", code, timeout=9, notout=["HELD IT ALL"])


_COUNTED = [
    _files("without_a_name", "d = os.open('.', os.O_TMPFILE | os.O_RDWR); held.append(d)\n"
           "for _ in range(60): os.write(d, block)"),
    _files("mapped_and_unlinked", "f = open('m', 'w+b', 0); f.truncate(60 << 20); x = mmap.mmap(f.fileno(), 60 << 20)\n"
           "for at in range(0, 60 << 20, 4096): x[at] = 1\nf.close(); os.unlink('m'); held.append(x)"),
    _files("in_a_closed_folder", "os.mkdir(f'c{i}'); f = open(f'c{i}/x', 'wb', 0)\n"
           "for _ in range(60): f.write(block)\nf.close(); os.chmod(f'c{i}', 0)"),
    _files("below_a_closed_folder", "os.makedirs(f'c{i}/e'); f = open(f'c{i}/e/x', 'wb', 0)\n"
           "for _ in range(60): f.write(block)\nf.close(); os.chmod(f'c{i}', 0o100)"),
    _files("allocated", "f = open(f'a{i}', 'wb'); os.posix_fallocate(f.fileno(), 0, 60 << 20); f.close()"),
    _files("moved_about", "os.makedirs(f'p{i}', exist_ok=True); f = open(f'p{i}/x', 'wb', 0)\n"
           "for _ in range(60):\n  f.write(block); os.rename(f'p{i}', f'q{i}'); os.rename(f'q{i}', f'p{i}')"),
    _files("in_flight", "import array, socket\nif not held: held.extend(socket.socketpair())\n"
           "f = open('u', 'wb', 0); os.unlink('u')\nfor _ in range(60): f.write(block)\n"
           "rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [f.fileno()]))\n"
           "held[0].sendmsg([b'x'], [rights]); f.close()"),
    attack("buffers_of_sockets", "bounds", """
        import os, socket
        total, pairs = 0, []
        try:
            for _ in range(28):
                pair = socket.socketpair(); pairs.append(pair)
                for end in pair:
                    end.setblocking(False)
                    for n in (socket.SO_SNDBUF, socket.SO_RCVBUF): end.setsockopt(socket.SOL_SOCKET, n, 1 << 30)
                    try:
                        while True: total += end.send(bytes(1 << 16))
                    except BlockingIOError: pass
        finally: print(total >> 20, "OVER" if total > 32 << 20 else "bounded")
        """, timeout=6, notout=["OVER"]),
    attack("pipes_grown", "bounds", """
        import fcntl, os
        for _ in range(25):
            r, w = os.pipe()
            try: print("GREW", fcntl.fcntl(w, 1031, 1 << 20))
            except OSError: pass
        """, notout=["GREW"]),
    attack("main_thread_leaves_a_hoarder", "bounds", """
        import ctypes, threading, time
        def f():
            held = []
            for _ in range(10**6): held.append("y" * 10**6); time.sleep(0.001)
        threading.Thread(target=f).start()
        ctypes.CDLL(None).syscall(60, 0)
        """),
    attack("main_thread_leaves_a_printer", "bounds", """
        import ctypes, os, threading
        def f():
            while True: os.write(1, b"99 " * 10**4)
        threading.Thread(target=f).start()
        ctypes.CDLL(None).syscall(60, 0)
        """, then_notout=["99"]),
    attack("main_thread_leaves_a_writer_of_files", "bounds", """
        import ctypes, os, threading
        def f():
            for i in range(10**6):
                d = os.open(f"f{i}", os.O_CREAT | os.O_WRONLY)
                for _ in range(50): os.write(d, bytes(1 << 20))
        threading.Thread(target=f).start()
        ctypes.CDLL(None).syscall(60, 0)
        """),
    *(attack(f"signal_{n}", "bounds", f"import ctypes, os\nctypes.CDLL(None).syscall(62, os.getpid(), {n})\n"
             "import time; time.sleep(0.2)", expect=["killed", "error",
           "ok"]) for n in (32, 33, 35, 40, 63, 64, 24, 30)),
    attack("signal_of_a_thread_later", "bounds", """
        import os, threading, time
        threading.Thread(target=lambda: (time.sleep(0.3), os.kill(os.getpid(), 40)), daemon=True).start()
        """, then="import time\ntime.sleep(1)\nprint(6*7)"),
    attack("stopped_at_each_continue", "bounds", """
        import os, signal
        signal.signal(signal.SIGCONT, lambda *a: os.kill(os.getpid(), signal.SIGSTOP))
        os.kill(os.getpid(), signal.SIGSTOP)
        """, timeout=1),
    attack("memory_of_a_long_answer", "bounds", "raise ValueError('x' * 300_000_000)"),
    attack("memory_of_a_representation", "bounds", "list(range(30_000_000))", timeout=6),
    attack("traceback_without_end", "bounds", """
        class Deep(Exception):
            @property
            def __cause__(self): return Deep()
            __suppress_context__ = False
        raise Deep
        """),
    attack("group_of_groups", "bounds", """
        e = ValueError(1)
        for _ in range(3000): e = ExceptionGroup("g", [e, e])
        raise e
        """),
    attack("notes_without_end", "bounds", """
        e = ValueError("x")
        class Notes(list):
            def __iter__(self):
                while True: yield "99"
        e.__notes__ = Notes()
        raise e
        """),
]  # fmt: skip

CELLS = [*_BETWEEN, *_COUNTED]
