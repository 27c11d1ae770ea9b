"""Runs cells one after another in one namespace, mending what each of them broke of Python itself."""

from __future__ import annotations

import ast
import builtins
import contextlib
import gc
import inspect
import io
import linecache
import mmap
import os
import signal
import sys
import traceback
import types
from collections.abc import Callable, Sequence

from agent.sandbox.inside.event_loops import needs_loop, run_awaiting
from agent.sandbox.inside.hints import Hints, beforehand
from agent.sandbox.inside.reading import read

OK, ERROR, OUT_OF_MEMORY, BROKEN = range(4)

_FRAMES = 8
_HERE = __file__.removesuffix("interpreter.py")  # the directory of the frames that no cell need see
_LIBRARIES = tuple(f"{place}{os.sep}" for place in sorted(sys.path, key=len, reverse=True) if place)
_DIGITS = 1_000_000
_HEADROOM = 16 << 20  # bytes that the next cell must still be able to have
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_SIGNALS = (signal.SIGINT, signal.SIGALRM, signal.SIGTERM)
_STREAMS = {1: "stdout", 2: "stderr"}


class Interpreter:
    """One session's Python. `home` is its directory; `libraries` are named where another one is missing.

    A cell may replace whatever it finds, this object included. What it needs later is therefore taken hold of
    first, and put back after each cell; where that fails the session is given up.
    """

    def __init__(self, home: str, libraries: Sequence[str]) -> None:
        self._home = home
        self._hints = Hints(libraries)
        self._count = -1  # before the rehearsal
        self._builtins = dict(vars(builtins))
        self._module = types.ModuleType("__main__")
        self._in_cell = False
        self._recursion = sys.getrecursionlimit()
        self._fstat, self._write, self._chdir = os.fstat, os.write, os.chdir
        self._getcwd = os.getcwd
        self._map, self._handler = mmap.mmap, self._interrupt
        self._pipes = [self._identity(descriptor) for descriptor in _STREAMS]
        self._mend()

    def rehearse(self) -> None:
        """Do once, while nobody waits, what every cell does, so that the first one finds its pages copied."""
        self.run("")

    def run(self, source: str) -> int:
        """Run one cell; its output goes to the descriptors 1 and 2."""
        self._count += 1
        status = OK
        try:
            self._in_cell = True
            self._execute(source, f"<cell {self._count}>")
            sys.stdout.flush()
        except SystemExit as leave:
            status = ERROR if leave.code else OK
            self._tell(_describe_exit, leave, source)
        except BaseException as error:  # noqa: BLE001 - whatever the cell raises is the cell's result
            status = OUT_OF_MEMORY if isinstance(error, MemoryError) else ERROR
            self._tell(_describe, error, source)
        finally:
            self._in_cell = False
        return self._settle(status)

    def _execute(self, source: str, name: str) -> None:
        tree, source, note = read(source, name)
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        self._put(note + beforehand(source))
        in_loop = needs_loop(tree, source)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        parts = [_compile(tree, name)] if tree.body else []
        if isinstance(last, ast.Expr):
            parts.append(_compile(ast.Expression(last.value), name))
        scope = vars(self._module)
        if in_loop or any(part.co_flags & inspect.CO_COROUTINE for part in parts):
            value = run_awaiting(parts, scope)
        else:
            value = [None, *(eval(part, scope) for part in parts)][-1]
        if value is not None:
            scope["_"] = value
            sys.stdout.write(repr(value) + "\n")

    def _tell(self, describe: Callable[[BaseException, Hints, str], str], error: BaseException, source: str) -> None:
        """Write an error behind the cell's output."""
        with contextlib.suppress(BaseException):  # the cell's own stream may do anything
            sys.stdout.flush()
        try:
            message = describe(error, self._hints, source)
        except BaseException as another:  # noqa: BLE001 - an exception's own text may raise anything
            message = f"{type(error).__name__}, and {type(another).__name__} while it was being told\n"
        self._in_cell = False
        self._put(message)

    def _put(self, message: str) -> None:
        """Write it straight to the pipe: all else may be replaced."""
        data = message.encode("utf-8", "backslashreplace")
        while data:
            data = data[self._write(2, data) :]

    def _settle(self, status: int) -> int:
        """Make sure that the next cell will find a Python that works, or say that there is no mending."""
        try:
            self._mend()
            if status == OUT_OF_MEMORY:
                gc.collect()
            if not self._has_room():
                return OUT_OF_MEMORY
            tree = ast.parse("6 * 7", "<check>", "eval")
            fit = eval(compile(tree, "<check>", "eval", dont_inherit=True), {}) == 42
            fit = fit and self._pipes == [self._identity(descriptor) for descriptor in _STREAMS]
        except MemoryError:
            return OUT_OF_MEMORY
        except BaseException:  # noqa: BLE001 - hooks that a cell has left behind may raise anything
            return BROKEN
        if not fit:
            return BROKEN
        return ERROR if status == OUT_OF_MEMORY else status

    def _has_room(self) -> bool:
        """Whether the next cell could have some memory; asked without touching any."""
        try:
            self._map(-1, _HEADROOM).close()
        except OSError:
            return False
        return True

    def _identity(self, descriptor: int) -> tuple[int, int]:
        status = self._fstat(descriptor)
        return status.st_dev, status.st_ino

    def _mend(self) -> None:
        """Undo what a cell may have done to the names, hooks, signals and streams that the next one needs."""
        sys.settrace(None)
        sys.setprofile(None)
        sys.setrecursionlimit(max(self._recursion, sys.getrecursionlimit()))
        sys.set_int_max_str_digits(_DIGITS)
        names = vars(builtins)
        for name, value in self._builtins.items():
            if names.get(name, self) is not value:
                names[name] = value
        scope = vars(self._module)
        scope["__builtins__"], scope["__name__"] = builtins, "__main__"
        sys.modules["__main__"] = self._module
        for timer in _TIMERS:
            signal.setitimer(timer, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        signal.signal(signal.SIGINT, self._handler)
        try:
            self._getcwd()
        except OSError:  # the working directory was removed
            self._chdir(self._home)
        self._open_streams()

    def _open_streams(self) -> None:
        for descriptor, name in _STREAMS.items():
            stream = io.TextIOWrapper(
                io.BufferedWriter(io.FileIO(descriptor, "w", closefd=False)),
                encoding="utf-8",
                errors="backslashreplace",
                line_buffering=True,
            )
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)

    def _interrupt(self, number: int, frame: types.FrameType | None) -> None:
        if self._in_cell:
            raise KeyboardInterrupt


def _compile(tree: ast.Module | ast.Expression, name: str) -> types.CodeType:
    mode = "exec" if isinstance(tree, ast.Module) else "eval"
    code: types.CodeType = compile(tree, name, mode, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    return code


def _describe_exit(leave: BaseException, hints: Hints, source: str) -> str:
    code = leave.code if isinstance(leave, SystemExit) else None
    return f"SystemExit: {code}\n" if code else ""


def _describe(error: BaseException, hints: Hints, source: str) -> str:
    trace = error.__traceback__
    while trace and not trace.tb_frame.f_code.co_filename.startswith("<cell "):
        trace = trace.tb_next
    told = traceback.TracebackException(type(error), error, trace, limit=-_FRAMES)
    frames = [_narrow(frame) for frame in told.stack if not frame.filename.startswith(_HERE)]
    for frame in frames:
        frame.filename = _short(frame.filename)
    told.stack = traceback.StackSummary.from_list(frames)
    text = "".join(told.format())
    hint = hints.about(error, told.stack, source)
    return f"{text}({hint})\n" if hint else text


def _short(path: str) -> str:
    """A library's file as its package names it: where it is installed costs tokens and tells the model nothing."""
    return next((path[len(library) :] for library in _LIBRARIES if path.startswith(library)), path)


def _narrow(frame: traceback.FrameSummary) -> traceback.FrameSummary:
    """Of a line with several statements, show only the expression that failed."""
    line, start, end = frame.line or "", frame.colno, frame.end_colno
    if ";" not in line or start is None or end is None or frame.lineno != frame.end_lineno:
        return frame
    whole = linecache.getline(frame.filename, frame.lineno or 0).encode("utf-8", "surrogatepass")
    part = whole[start:end].decode("utf-8", "replace")
    return traceback.FrameSummary(frame.filename, frame.lineno, frame.name, line=part)
