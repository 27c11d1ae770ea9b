"""Cells that run a program on one test, and the comparison of its output."""

from __future__ import annotations

import ast
import json
from decimal import Decimal, InvalidOperation

from tools.benchmark.question import ProgramTest

# What contest programs take for granted, as LiveCodeBench's checker does. The builtins come after math and operator,
# whose pow and others would hide them.
_MODULES = (
    "string re datetime collections heapq bisect copy math random statistics itertools functools operator io sys json "
    "builtins typing"
)
_PRELUDE = (
    "\n".join(f"from {name} import *\nimport {name}" for name in _MODULES.split()) + "\nsys.setrecursionlimit(50000)\n"
)

_MOST_LONGER = 16  # times as long as its JSON may a result be that equals it

# Descriptor 0 is a real file, so that input(), sys.stdin.buffer and open(0) all read it. A program ends when its own
# threads have ended.
_RUN = """\
import io, os, sys, threading
with open("given.txt", "w", encoding="utf-8", newline="") as file:
    file.write({given!r})
os.dup2(os.open("given.txt", os.O_RDONLY), 0)
sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")
printed = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w", closefd=False)), encoding="utf-8")
sys.stdout, sys.stderr = {stdout}, io.StringIO()
scope = {{"__name__": {name!r}}}
exec({prelude!r}, scope)
try:
    exec(compile({source!r}, "<program>", "exec"), scope)
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
except SystemExit as end:
    if end.code not in (None, 0):
        raise RuntimeError(f"exit status {{end.code}}") from None
finally:
    sys.stdout.flush()
"""
# Numbers and arrays of numpy equal those of Python, which their own repr does not show. Any other object could claim to
# equal the result, or look like it.
_CALL = """\
import json
def plain(value):
    numpy = sys.modules.get("numpy")
    if numpy is not None and type(value).__module__ == "numpy" and isinstance(value, (numpy.generic, numpy.ndarray)):
        return plain(value.tolist())
    if type(value) in (list, tuple):
        return type(value)(map(plain, value))
    if type(value) is dict:
        return {{plain(key): plain(item) for key, item in value.items()}}
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise TypeError(f"the result holds {{type(value).__name__}}, which is no plain value")
owner = scope["Solution"]() if "class Solution" in {source!r} else None
method = scope[{function!r}] if owner is None else getattr(owner, {function!r})
result = plain(method(*[json.loads(line) for line in {given!r}.split(chr(10))]))
printed.write(repr(list(result) if isinstance(result, tuple) else result))
printed.flush()
"""


def program_cell(source: str, given: str) -> str:
    """Return a cell that runs the program with `given` as its standard input; its output is that of the cell."""
    return _RUN.format(given=given, source=source, prelude=_PRELUDE, name="__main__", stdout="printed")


def call_cell(source: str, function: str, given: str) -> str:
    """Return a cell that calls the function, or the method of `Solution`, with one JSON argument per line.

    What the code itself prints is dropped.
    """
    run = _RUN.format(given="", source=source, prelude=_PRELUDE, name="program", stdout="io.StringIO()")
    return run + _CALL.format(source=source, function=function, given=given)


def same_output(printed: str, test: ProgramTest) -> bool:
    """Whether the output is what the test expects, by LiveCodeBench's rule.

    The same number of lines, and each the same but for white space around it, or the same decimal numbers.
    """
    got, wanted = _lines(printed), _lines(test.wanted)
    return len(got) == len(wanted) and all(map(_same_line, got, wanted))


def same_result(printed: str, test: ProgramTest) -> bool:
    """Whether the printed result equals the JSON that the test expects, as Python compares them.

    Raises ValueError if the test's own result is not JSON.
    """
    wanted = json.loads(test.wanted)
    if len(printed) > _MOST_LONGER * len(test.wanted) + _MOST_LONGER:
        return False  # before much memory goes into reading it
    try:
        return bool(ast.literal_eval(printed) == wanted)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().split("\n")]


def _same_line(got: str, wanted: str) -> bool:
    if got == wanted:
        return True
    try:
        return [Decimal(word) for word in got.split()] == [Decimal(word) for word in wanted.split()]
    except InvalidOperation:
        return False
