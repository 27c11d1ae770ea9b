"""A session's side of the talk with the controller: requests are read, begun, run, and their ends told."""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Callable, Sequence

from agent.sandbox.inside.frames import receive
from agent.sandbox.inside.interpreter import BROKEN, OUT_OF_MEMORY, Interpreter

CONTROL = 3  # the descriptor of the controller's socket; 1 and 2 are the output pipe
READY = b"ready"


def serve(libraries: Sequence[str]) -> None:
    """Run cells, with these libraries at hand, until the controller closes its end; ends the process."""
    interpreter = Interpreter(os.environ["HOME"], libraries)
    next_request, read, write, leave = receive, _reader(), os.write, os._exit
    write(CONTROL, READY)
    interpreter.rehearse()
    status, fresh = 0, True
    while status not in (BROKEN, OUT_OF_MEMORY):
        request = next_request(read)
        if request is None:
            leave(0)
            return
        write(CONTROL, request.token)
        if fresh:
            fresh = False
            _seed(request.seed)
        status = interpreter.run(request.source.decode("utf-8", "surrogatepass"))
        write(CONTROL, bytes([status]))
    signal.pause()  # the controller ends a session that cannot go on
    leave(1)


def _reader() -> Callable[[int], bytes]:
    """What reads from the controller, also after a cell has made that descriptor one that does not wait."""
    read, set_blocking = os.read, os.set_blocking

    def read_control(size: int) -> bytes:
        try:
            return read(CONTROL, size)
        except BlockingIOError:
            set_blocking(CONTROL, True)
            return read(CONTROL, size)

    return read_control


def _seed(seed: int) -> None:
    random.seed(seed)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(seed & 0xFFFF_FFFF)
