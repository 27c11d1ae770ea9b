"""Lines from standard input and to standard output, neither of which may hold up the end of the command."""

from __future__ import annotations

import asyncio
import os
import select
from collections.abc import Callable

from agent.errors import AgentError, InputError
from agent.sandbox.cli.lines import MAX_LINE

_CHUNK = 1 << 16
_LOOK = 0.1  # seconds between two looks whether the end has come
_LOOKS = 10  # after which, at the end, a reader that does not read is given up


class LineReader:
    """Reads lines from a terminal, a pipe or a file without a thread, so that a wait for a line can be cancelled."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._text = bytearray()
        self._searched = 0  # bytes of the text that hold no line end

    async def line(self) -> bytes:
        """The next line, or nothing at the end. A line beyond `MAX_LINE` bytes is cut, and still beyond them.

        Raises InputError if it cannot be read.
        """
        while (end := self._text.find(b"\n", self._searched) + 1) == 0:
            del self._text[MAX_LINE + 1 :]
            self._searched = len(self._text)
            data = await self._read()
            if not data:
                return self._take(len(self._text))
            self._text += data
        return self._take(end)

    def _take(self, size: int) -> bytes:
        line = bytes(self._text[:size])
        del self._text[:size]
        self._searched = 0
        return line

    async def _read(self) -> bytes:
        while True:
            await self._readable()
            try:
                return os.read(self._descriptor, _CHUNK)
            except BlockingIOError:  # another reader was quicker
                continue
            except OSError as error:
                raise InputError(f"standard input cannot be read ({error.strerror})") from error

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        try:
            loop.add_reader(self._descriptor, ready.set)
        except PermissionError:  # a file, which can always be read
            await asyncio.sleep(0)
            return
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._descriptor)


class LineWriter:
    """Writes to a descriptor as long as somebody reads it and calls `stop` when that is over.

    Once `hurried` says so, a reader that does not read is given up soon. `error` is why nothing more could be written,
    if that is one: that the reader has gone is none.
    """

    def __init__(self, descriptor: int, stop: Callable[[], object], hurried: Callable[[], bool]) -> None:
        self._descriptor = descriptor
        self._stop = stop
        self._hurried = hurried
        self._closed = False
        self.error: AgentError | None = None

    def write(self, text: str) -> None:
        """Write the text, if that can be done."""
        if self._closed:
            return
        try:
            self._closed = not self._put(memoryview(text.encode()))
        except BrokenPipeError:
            self._closed = True
        except OSError as error:
            self._closed = True
            self.error = AgentError(f"the result cannot be written to standard output ({error.strerror})")
            self.error.__cause__ = error
        if self._closed:
            self._stop()

    def _put(self, data: memoryview) -> bool:
        """Write all of it, in pieces that do not block where the descriptor is ready; whether its reader took it."""
        looks = 0
        while data:
            if select.select([], [self._descriptor], [], _LOOK)[1]:
                data = data[os.write(self._descriptor, data[: select.PIPE_BUF]) :]
            elif self._hurried():
                looks += 1
                if looks > _LOOKS:
                    return False
        return True
