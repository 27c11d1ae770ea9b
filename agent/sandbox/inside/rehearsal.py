"""Runs cells in the zygote, so that Python has adapted its bytecode to them before any session is forked.

Python does so only where code has run several times. A session that had to do it itself would also write to the pages
that hold the code, and so get copies of its own, which the CPU's caches cannot hold for many sessions.
"""

from __future__ import annotations

import contextlib
import gc
import linecache
import os
import signal
import sys
from collections.abc import Iterator

from agent.sandbox.inside.descriptors import open_null
from agent.sandbox.inside.session.child import rehearse_cells

_TIMES = 24  # from about ten on nothing more is adapted
_CELLS = ("1", "x = [2]\nprint(x)", "def f(n):\n    return n + 1\nf(1)")
_STREAMS = (0, 1, 2)
_NAMES = ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__", "addaudithook")


def adapt_bytecode() -> None:
    """Run cells of each kind several times, and undo what that changes in this process."""
    with _undone():
        rehearse_cells(_CELLS * _TIMES)
    gc.collect()  # the interpreter, which holds memory


@contextlib.contextmanager
def _undone() -> Iterator[None]:
    """Let the standard streams lead nowhere; put back what a session's interpreter replaces."""
    names, lines, main = vars(sys), [*linecache.cache], sys.modules["__main__"]
    seen, handler = {name: names[name] for name in _NAMES}, signal.getsignal(signal.SIGINT)
    kept = [os.dup(stream) for stream in _STREAMS]
    for stream in _STREAMS:
        os.close(stream)
        open_null()  # takes the lowest number that is free
    try:
        yield
    finally:
        for descriptor, stream in zip(kept, _STREAMS, strict=True):
            os.dup2(descriptor, stream)
            os.close(descriptor)
        signal.signal(signal.SIGINT, handler)
        names.update(seen)
        for cell in linecache.cache.keys() - lines:
            del linecache.cache[cell]
        sys.modules["__main__"] = main
