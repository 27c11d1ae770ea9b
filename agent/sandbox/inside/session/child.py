"""A session's side of its protocol with the controller: reads requests, runs them and reports their ends."""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Callable, Iterable, Sequence

from agent.sandbox.inside.descriptors import MarkedFiles, identity
from agent.sandbox.inside.session.hints import Hints
from agent.sandbox.inside.session.interpreter import Interpreter
from agent.sandbox.inside.session.randomness import seed_all
from agent.sandbox.protocol import (
    BROKEN,
    CUT_OFF,
    OK,
    OUT_OF_MEMORY,
    READY,
    TOKEN_SIZE,
    CellRequest,
    encode_cell,
    encode_end,
    read_cell,
)

CONTROL = 3  # the descriptor of the controller's socket; 1 and 2 are the output pipe
_OUTPUT = 1


def serve_cells(libraries: Sequence[str], memory: int) -> None:
    """Run cells until the controller closes its end; ends the process.

    These libraries are at hand, and so many bytes of memory.
    """
    interpreter, leave = Interpreter(os.environ["HOME"], Hints(libraries, memory)), os._exit
    requests, control = _Requests(interpreter, _reader(CONTROL), seed_all), MarkedFiles(CONTROL)
    os.write(CONTROL, READY)
    interpreter.rehearse()
    _answer(requests, CONTROL, control)
    leave(0)


def rehearse_cells(sources: Iterable[str]) -> None:
    """Run cells as a session does; what they print goes to the descriptors 1 and 2, and no generator is seeded."""
    cells = (encode_cell(CellRequest(bytes(TOKEN_SIZE), 0, source.encode())) for source in sources)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        read = _reader(ours.fileno())

        def read_next(size: int) -> bytes:
            if not theirs.send(next(cells, b"")):
                theirs.shutdown(socket.SHUT_WR)
            return read(size)

        requests = _Requests(Interpreter(os.sep, Hints((), 0)), read_next, lambda _: None)
        _answer(requests, ours.fileno(), MarkedFiles(ours.fileno()))


def _answer(requests: _Requests, number: int, control: MarkedFiles) -> None:
    """Run requests and answer each on the descriptor of this number, until there are no more.

    While a cell runs, nothing that it could look up holds the token that its end has to carry: it lies in `map`, on the
    stack of the interpreter's own C code.
    """
    write, leave, file_of, born = os.write, os._exit, identity, identity(number)
    for ending in map(encode_end, iter(requests.begin, None), iter(requests.run, None)):
        if file_of(number) != born:  # flags would not do here: a cell may give them to a socket that it reads from
            leave(CUT_OFF)
        if not control.are_there():
            control.mark()
        write(number, ending)
        if requests.status in (BROKEN, OUT_OF_MEMORY):
            signal.pause()  # the controller ends a session that cannot continue


class _Requests:
    """Begins and runs requests, one after the other."""

    def __init__(self, interpreter: Interpreter, read: Callable[[int], bytes], seed: Callable[[int], None]) -> None:
        self._interpreter = interpreter
        self._calls = (read_cell, read, os.write)
        self._seed, self._set_blocking = seed, os.set_blocking
        self._source = b""
        self._is_fresh = True
        self.status = OK

    def begin(self) -> bytes | None:
        """Wait for the next request and report its beginning; return its token, None if there are no more."""
        receive, read, write = self._calls
        request = receive(read)
        if request is None:
            return None
        token, seed, self._source = request
        try:
            write(_OUTPUT, token)
        except BlockingIOError:
            self._set_blocking(_OUTPUT, True)
            write(_OUTPUT, token)
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


def _reader(control: int) -> Callable[[int], bytes]:
    """What reads from this descriptor, also after a cell has made it one that does not wait.

    It waits by polling: a read that waits is also woken, for nothing, when the controller takes an answer.
    """
    read, poll = os.read, select.poll()
    poll.register(control, select.POLLIN)
    wait = poll.poll

    def read_control(size: int) -> bytes:
        while True:
            wait()
            try:
                return read(control, size)
            except BlockingIOError:
                continue

    return read_control
