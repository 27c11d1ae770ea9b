"""A session's side of its protocol with the controller: reads requests, runs them and reports their ends."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Sequence

from agent.sandbox.inside.descriptors import MarkedFiles, identity
from agent.sandbox.inside.session.hints import Hints
from agent.sandbox.inside.session.interpreter import Interpreter
from agent.sandbox.inside.session.randomness import seed_all
from agent.sandbox.protocol import BROKEN, CUT_OFF, OK, OUT_OF_MEMORY, READY, encode_end, read_cell

CONTROL = 3  # the descriptor of the controller's socket; 1 and 2 are the output pipe
_OUTPUT = 1


def serve_cells(libraries: Sequence[str], memory: int) -> None:
    """Run cells until the controller closes its end; ends the process.

    These libraries are at hand, and so many bytes of memory.

    While a cell runs, nothing that it could look up holds the token that its end has to carry: it lies in `map`, on the
    stack of the interpreter's own C code.
    """
    interpreter = Interpreter(os.environ["HOME"], Hints(libraries, memory))
    requests = _Requests(interpreter)
    write, leave, control, file_of, born = os.write, os._exit, MarkedFiles(CONTROL), identity, identity(CONTROL)
    write(CONTROL, READY)
    interpreter.rehearse()
    for ending in map(encode_end, iter(requests.begin, None), iter(requests.run, None)):
        if file_of(CONTROL) != born:  # flags would not do here: a cell may give them to a socket that it reads from
            leave(CUT_OFF)
        if not control.are_there():
            control.mark()
        write(CONTROL, ending)
        if requests.status in (BROKEN, OUT_OF_MEMORY):
            signal.pause()  # the controller ends a session that cannot continue
    leave(0)


class _Requests:
    """Begins and runs requests, one after the other."""

    def __init__(self, interpreter: Interpreter) -> None:
        self._interpreter = interpreter
        self._receive, self._seed = read_cell, seed_all
        self._read, self._write, self._set_blocking = _reader(), os.write, os.set_blocking
        self._source = b""
        self._is_fresh = True
        self.status = OK

    def begin(self) -> bytes | None:
        """Wait for the next request and report its beginning; return its token, None if there are no more."""
        request = self._receive(self._read)
        if request is None:
            return None
        token, seed, self._source = request
        try:
            self._write(_OUTPUT, token)
        except BlockingIOError:
            self._set_blocking(_OUTPUT, True)
            self._write(_OUTPUT, token)
        if self._is_fresh:
            self._is_fresh = False
            self._seed(seed)
        return token

    def run(self) -> int:
        """Run the cell that has begun and return its status."""
        source, self._source = self._source, b""
        try:
            self.status = self._interpreter.run(source.decode("utf-8", "surrogatepass"))
        except MemoryError:
            self.status = OUT_OF_MEMORY
        return self.status


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
