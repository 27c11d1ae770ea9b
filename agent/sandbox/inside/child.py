"""A session's side of the talk with the controller: a request is one cell, the answer one byte of status.

Request: 8 bytes that name it, 4 bytes of length, the source. Answer: `MAGIC`, the same 8 bytes, the status.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Callable, Sequence

from agent.sandbox.inside.interpreter import BROKEN, OUT_OF_MEMORY, Interpreter

CONTROL = 3  # the descriptor of the controller's socket; 1 and 2 are the output pipe
READY = b"ready"
MAGIC = b"CELL"
NAME_SIZE = 8


def serve(libraries: Sequence[str]) -> None:
    """Run cells, with these libraries at hand, until the controller closes its end; ends the process."""
    random.seed()
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(int.from_bytes(os.urandom(4), "big"))
    interpreter = Interpreter(os.environ["HOME"], libraries)
    read, write, leave = os.read, os.write, os._exit
    write(CONTROL, READY)
    interpreter.rehearse()
    status = 0
    while status not in (BROKEN, OUT_OF_MEMORY):
        header = _read_exactly(read, NAME_SIZE + 4)
        source = _read_exactly(read, int.from_bytes(header[NAME_SIZE:], "big"))
        status = interpreter.run(source.decode("utf-8", "surrogatepass"))
        write(CONTROL, MAGIC + header[:NAME_SIZE] + bytes([status]))
    signal.pause()  # the controller ends a session that cannot go on
    leave(1)


def _read_exactly(read: Callable[[int, int], bytes], size: int) -> bytes:
    parts = []
    while size:
        part = read(CONTROL, min(size, 1 << 20))
        if not part:
            os._exit(0)
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
