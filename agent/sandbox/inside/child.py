"""A session's side of the talk with the controller: requests are read, begun, run, and their ends told."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Sequence

from agent.sandbox.inside.frames import answer, receive
from agent.sandbox.inside.interpreter import BROKEN, OUT_OF_MEMORY, Interpreter
from agent.sandbox.inside.randomness import seed_all

CONTROL = 3  # the descriptor of the controller's socket; 1 and 2 are the output pipe
_OUTPUT = 1
CUT_OFF = 119  # exit status of a session whose socket a cell has closed or replaced
READY = b"ready"


def serve(libraries: Sequence[str]) -> None:
    """Run cells, with these libraries at hand, until the controller closes its end; ends the process."""
    interpreter = Interpreter(os.environ["HOME"], libraries)
    next_request, end, write, leave = receive, answer, os.write, os._exit
    read, say, seed, check, born = _reader(), _writer(), seed_all, _control, _control()
    write(CONTROL, READY)
    interpreter.rehearse()
    status, fresh = 0, True
    while status not in (BROKEN, OUT_OF_MEMORY):
        request = next_request(read)
        if request is None:
            leave(0)
            return
        say(request.token)
        if fresh:
            fresh = False
            seed(request.seed)
        status = interpreter.run(request.source.decode("utf-8", "surrogatepass"))
        if check() != born:
            leave(CUT_OFF)
        write(CONTROL, end(request.token, status))
    signal.pause()  # the controller ends a session that cannot go on
    leave(1)


def _control(fstat: Callable[[int], os.stat_result] = os.fstat) -> tuple[int, int]:
    """Which file the controller's socket is; zeros if it is closed."""
    try:
        status = fstat(CONTROL)
    except OSError:
        return 0, 0
    return status.st_dev, status.st_ino


def _reader() -> Callable[[int], bytes]:
    """What reads from the controller, also after a cell has made that descriptor one that does not wait.

    It waits by polling: a read that waits is also woken, for nothing, when the controller takes an answer.
    """
    read, poll = os.read, select.poll()
    poll.register(CONTROL, select.POLLIN)
    wait = poll.poll

    def read_control(size: int) -> bytes:
        while True:
            wait()
            try:
                return read(CONTROL, size)
            except BlockingIOError:
                continue

    return read_control


def _writer() -> Callable[[bytes], int]:
    """The same for a few bytes of output."""
    write, set_blocking = os.write, os.set_blocking

    def write_output(data: bytes) -> int:
        try:
            return write(_OUTPUT, data)
        except BlockingIOError:
            set_blocking(_OUTPUT, True)
            return write(_OUTPUT, data)

    return write_output
