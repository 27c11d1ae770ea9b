"""The program in a session's process: it runs cells of code, one after the other, on one set of variables.

It is started by path (`python -I -B worker.py CONTROL_FD PARENT_PID MEMORY_BYTES`), so it imports nothing but
the standard library. The control descriptor is a stream socket that carries one JSON object a line:

    worker -> parent    {"ready": true}                      once, when the limits are set
    parent -> worker    {"cell": TOKEN, "code": CODE}
    worker -> parent    {"cell": TOKEN, "ok": true | false}  when the cell has ended

What the cell prints, the value of its last expression and its traceback go to descriptors 1 and 2.
SIGINT ends the running cell with KeyboardInterrupt; between cells it does nothing.
Exit status 86 says that a cell left no memory to go on with.
"""

from __future__ import annotations

import ast
import contextlib
import json
import linecache
import os
import resource
import signal
import sys
import threading
import traceback
from queue import SimpleQueue
from types import CodeType, FrameType, ModuleType

FILE_BYTES = 64 << 20
OPEN_FILES = 256
SPARE_BYTES = 32 << 20  # beyond the cell's memory: to compile `del x` and to report a MemoryError
MAX_INT_DIGITS = 500_000  # str() of a longer int is an error; it takes quadratic time before Python 3.12
RECURSION_LIMIT = 5_000  # far deeper, Python 3.11 overflows an 8 MiB C stack through calls of builtins
TRACEBACK_FRAMES = 5
OUT_OF_MEMORY = 86  # exit status


class Cells:
    """A module `__main__` and the cells that run in it."""

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._module = ModuleType("__main__")
        sys.modules["__main__"] = self._module  # where pickle, dataclasses and typing look names up
        self._count = 0
        self._interruptible = False
        self._pid = os.getpid()
        self._output = os.dup(1)
        self._console = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace")

    def run(self, code: str) -> bool:
        """Run one cell to its end, whatever that is; True if it raised nothing."""
        _limit_memory(self._memory_bytes + SPARE_BYTES)
        self._count += 1
        name = f"<cell {self._count}>"
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
        self._renew_streams()
        signal.signal(signal.SIGINT, self._interrupt)
        failure = ""
        try:
            try:
                self._interruptible = True
                self._execute(code, name)
            finally:
                self._interruptible = False
        except BaseException as error:  # noqa: BLE001 - a cell may raise anything, SystemExit too
            self._interruptible = False  # the interrupt may have come just before the line above
            _limit_memory(self._memory_bytes + SPARE_BYTES)
            failure = describe(error)
        with contextlib.suppress(OSError, ValueError):  # the cell may have closed it
            self._stdout.flush()
        self._console.write(failure)
        self._console.flush()
        if os.getpid() != self._pid:
            os._exit(0)  # a copy forked by the cell has come to the cell's end: it is not the session
        return not failure

    def _execute(self, code: str, name: str) -> None:
        tree = ast.parse(code, name)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        body = _compile(tree, name, "exec")
        value = _compile(ast.Expression(last.value), name, "eval") if isinstance(last, ast.Expr) else None
        _limit_memory(self._memory_bytes)
        exec(body, self._module.__dict__)
        shown = eval(value, self._module.__dict__) if value is not None else None
        if shown is not None:
            print(repr(shown), file=self._stdout)

    def _renew_streams(self) -> None:
        """Undo what an earlier cell did to the streams; `exit()` alone closes stdin."""
        for descriptor in (1, 2):
            os.dup2(self._output, descriptor)
        sys.stdin = os.fdopen(os.open(os.devnull, os.O_RDONLY), encoding="utf-8")
        # By line, so that a killed cell has shown what it printed; one object, so that the order is kept.
        self._stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
        sys.stdout = sys.stderr = self._stdout

    def _interrupt(self, signum: int, frame: FrameType | None) -> None:
        if self._interruptible:
            self._interruptible = False
            raise KeyboardInterrupt


def describe(error: BaseException) -> str:
    """The traceback of a cell's error: its own last frames, none of libraries or of this file."""
    summary = traceback.TracebackException.from_exception(error)
    part: traceback.TracebackException | None = summary
    while part is not None:
        own = [frame for frame in part.stack if frame.filename.startswith("<cell ")]
        part.stack[:] = own[-TRACEBACK_FRAMES:]
        part = part.__cause__ or part.__context__
    return "".join(summary.format())


def _compile(tree: ast.Module | ast.Expression, name: str, mode: str) -> CodeType:
    # dont_inherit: this file's __future__ import is not the cell's.
    code: CodeType = compile(tree, name, mode, dont_inherit=True)
    return code


def _tie_to_parent(parent: int) -> None:
    """Die with the parent even if a cell never lets `_receive` see its end (Linux only)."""
    if sys.platform == "linux":
        import ctypes

        prctl = ctypes.CDLL(None).prctl
        prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG; the thread counts that started us
        prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: orphans stay in our tree, where the parent finds them
    if os.getppid() != parent:
        sys.exit("the agent has gone")


def _set_limits(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    with contextlib.suppress(OSError, ValueError):  # macOS may refuse it
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes + SPARE_BYTES, memory_bytes + SPARE_BYTES))
    sys.set_int_max_str_digits(MAX_INT_DIGITS)
    sys.setrecursionlimit(RECURSION_LIMIT)


def _limit_memory(memory_bytes: int) -> None:
    """Move the limit that is in force below the one set at the start."""
    with contextlib.suppress(OSError, ValueError):  # macOS may refuse it; a cell may have lowered the other
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _receive(control: int, requests: SimpleQueue[bytes]) -> None:
    """Pass requests on, and end the whole process group when the parent has closed its end or has died."""
    with open(control, "rb", closefd=False) as lines:
        for line in lines:
            requests.put(line)
    os.killpg(os.getpid(), signal.SIGKILL)


def main() -> None:
    """Serve cells until the parent goes."""
    control, parent, memory_bytes = (int(argument) for argument in sys.argv[1:])
    sys.argv = [""]
    os.set_inheritable(control, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _tie_to_parent(parent)
    _set_limits(memory_bytes)
    requests: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_receive, args=(control, requests), daemon=True).start()
    cells = Cells(memory_bytes)
    os.write(control, b'{"ready": true}\n')
    try:
        while True:
            request = json.loads(requests.get())
            ok = cells.run(request["code"])
            os.write(control, json.dumps({"cell": request["cell"], "ok": ok}).encode() + b"\n")
    except MemoryError:  # there is not even enough to report it
        os._exit(OUT_OF_MEMORY)


if __name__ == "__main__":
    main()
