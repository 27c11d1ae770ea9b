"""The floor below a session's time: a forked Python that evaluates an expression, over as many hops, without limits."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
from typing import NoReturn

_TOKEN_SIZE = 16
_CHUNK = 1 << 12


class BareSession:
    """A forked process that gets expressions on a socket and prints their values to a pipe."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        self._output, output = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            _serve(theirs, output)
        theirs.close()
        os.close(output)
        self._control.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[str] | None = None
        self._loop.add_reader(self._control, self._on_end)

    async def run(self, code: str) -> str:
        """Evaluate an expression and return its text. Raises EOFError if that fails; no other can be run then."""
        self._done = self._loop.create_future()
        self._control.send(os.urandom(_TOKEN_SIZE) + code.encode())
        return await self._done

    def close(self) -> None:
        """End the process."""
        self._loop.remove_reader(self._control)
        self._control.close()
        os.close(self._output)
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def _on_end(self) -> None:
        token, printed = self._control.recv(_CHUNK), os.read(self._output, _CHUNK)
        if not token:
            self._loop.remove_reader(self._control)
        if self._done is None or self._done.done():
            return
        if token and printed.startswith(token):
            self._done.set_result(printed[len(token) :].decode())
        else:
            self._done.set_exception(EOFError("a bare fork has ended"))


def _serve(control: socket.socket, output: int) -> NoReturn:
    try:
        poll, scope = select.poll(), dict[str, object]()
        poll.register(control, select.POLLIN)
        while poll.poll() and (data := control.recv(_CHUNK)):
            token, code = data[:_TOKEN_SIZE], data[_TOKEN_SIZE:].decode()
            os.write(output, token)
            value = eval(compile(code, "<cell>", "eval"), scope)
            os.write(output, f"{value!r}\n".encode())
            control.send(token)
    finally:
        os._exit(0)
