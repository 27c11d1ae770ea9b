"""Runs cells one after another in one namespace, as a notebook does, and mends what a cell broke of Python itself."""

from __future__ import annotations

import ast
import builtins
import gc
import io
import linecache
import os
import signal
import sys
import traceback
import types
from collections.abc import Callable
from typing import Any

OK, ERROR, OUT_OF_MEMORY, BROKEN = range(4)

_FRAMES = 8
_DIGITS = 1_000_000
_HEADROOM = 64 << 20  # bytes that must still be had after a cell ran out of memory
_SIGNALS = (signal.SIGINT, signal.SIGALRM, signal.SIGTERM)


class Interpreter:
    """One session's Python. Everything it needs later is taken hold of before a cell can replace it."""

    def __init__(self, hint: str) -> None:
        self._hint = hint
        self._count = 0
        self._builtins = dict(vars(builtins))
        self._module = types.ModuleType("__main__")
        self._in_cell = False
        self._streams = [os.fstat(descriptor)[1:3] for descriptor in (1, 2)]
        self._tools: tuple[Callable[..., Any], ...] = (self._interrupt, os.fstat, os.write, os.getcwd, os.chdir)
        self._home = os.getcwd()
        sys.modules["__main__"] = self._module
        vars(self._module)["__builtins__"] = builtins
        sys.set_int_max_str_digits(_DIGITS)
        self._mend()

    def run(self, source: str) -> int:
        """Run one cell; its output goes to the descriptors 1 and 2."""
        self._count += 1
        name = f"<cell {self._count}>"
        status = OK
        self._open_streams()
        try:
            self._in_cell = True
            self._execute(source, name)
            sys.stdout.flush()
        except SystemExit as leave:
            status = ERROR if leave.code else OK
            self._tell(lambda: f"SystemExit: {leave.code}\n" if leave.code else "")
        except MemoryError as error:
            status = OUT_OF_MEMORY
            self._tell(lambda: _describe(error, self._hint))
        except BaseException as error:  # noqa: BLE001 - whatever the cell raises is the cell's result
            status = ERROR
            self._tell(lambda: _describe(error, self._hint))
        finally:
            self._in_cell = False
        return self._settle(status)

    def _execute(self, source: str, name: str) -> None:
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        tree = ast.parse(source, name)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        scope = vars(self._module)
        if tree.body:
            exec(compile(tree, name, "exec", dont_inherit=True), scope)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), name, "eval", dont_inherit=True), scope)
            if value is not None:
                scope["_"] = value
                sys.stdout.write(repr(value) + "\n")

    def _tell(self, text: Callable[[], str]) -> None:
        """Write an error behind the cell's own output, straight to the pipe: the cell may have replaced all else."""
        try:
            sys.stdout.flush()
        except BaseException:  # noqa: BLE001, S110 - the cell's own stream may do anything
            pass
        try:
            message = text()
        except BaseException as error:  # noqa: BLE001 - an exception's own text may raise anything
            message = f"{type(error).__name__} while the error was being told\n"
        self._in_cell = False
        data = message.encode("utf-8", "backslashreplace")
        while data:
            data = data[self._tools[2](2, data) :]

    def _settle(self, status: int) -> int:
        self._mend()
        if status == OUT_OF_MEMORY:
            sys.last_value = sys.last_traceback = None
            gc.collect()
            try:
                bytearray(_HEADROOM)
            except MemoryError:
                return OUT_OF_MEMORY
            status = ERROR
        try:
            streams = [self._tools[1](descriptor)[1:3] for descriptor in (1, 2)]
        except OSError:  # closed
            return BROKEN
        return status if streams == self._streams else BROKEN

    def _mend(self) -> None:
        """Undo what a cell may have done to the names, hooks and signals that the next one relies on."""
        names = vars(builtins)
        for name, value in self._builtins.items():
            if names.get(name, self) is not value:
                names[name] = value
        scope = vars(self._module)
        scope["__builtins__"], scope["__name__"] = builtins, "__main__"
        sys.modules["__main__"] = self._module
        sys.settrace(None)
        sys.setprofile(None)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        signal.signal(signal.SIGINT, self._tools[0])
        try:
            self._tools[3]()
        except OSError:  # the working directory was removed
            self._tools[4](self._home)

    def _open_streams(self) -> None:
        for descriptor, name in ((1, "stdout"), (2, "stderr")):
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


def _describe(error: BaseException, hint: str) -> str:
    trace = error.__traceback__
    while trace and not trace.tb_frame.f_code.co_filename.startswith("<cell "):
        trace = trace.tb_next
    told = traceback.TracebackException(type(error), error, trace, limit=-_FRAMES)
    told.stack = traceback.StackSummary.from_list([frame for frame in told.stack if frame.filename != __file__])
    text = "".join(told.format())
    return f"{text}({hint})\n" if isinstance(error, ModuleNotFoundError) else text
