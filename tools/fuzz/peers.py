"""A fake session process driven by the fuzzer's bytes, and a virtual clock for it."""

from __future__ import annotations

import array
import asyncio
import contextlib
import itertools
import os
import selectors
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from agent.sandbox.client import ProcessHandle
from agent.sandbox.protocol import TOKEN_SIZE

_HEADER = TOKEN_SIZE + 12  # with the seed and the length
_PAUSES = (0.0, 0.001, 0.03, 0.4, 1.1, 2.2, 4.5, 9.0)
_DEAD = 1 << 30  # no process has this id
_NUMBERS = itertools.count(1)
_LOUD = 1 << 17  # more than a socket or a pipe holds


class _Selector(selectors.BaseSelector):
    """A selector that does not wait: if no file is ready, the clock advances to the next timer."""

    def __init__(self) -> None:
        self.now = 0.0
        self._files = selectors.DefaultSelector()

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._files.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._files.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._files.get_map()

    def close(self) -> None:
        self._files.close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._files.select(0)
        if not ready and timeout is None:
            raise RuntimeError("everything waits and no timer is set: this would hang for ever")
        if not ready and timeout is not None and timeout > 0:
            self.now += timeout
        return ready


class FileLoop(asyncio.SelectorEventLoop):
    """Real scheduling and real descriptors in virtual time, starting at 0 seconds."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        """Seconds of virtual time."""
        return self._clock.now


class Substitute:
    """A module with some of its names replaced."""

    def __init__(self, module: Any, **names: object) -> None:
        self._module = module
        vars(self).update(names)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


class StillMeter:
    """A fake process meter: a number of threads, and a main thread that always waits for a CPU."""

    starved = False
    crowd = 1

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def threads(self) -> int:
        """The number of its threads."""
        return self.crowd

    def cpu_seconds(self) -> float:
        """Its CPU time."""
        return 0.0

    def waiting_seconds(self) -> float:
        """The time that it waited for a CPU."""
        return asyncio.get_running_loop().time() if self.starved else 0.0

    def others(self) -> dict[int, float]:
        """The CPU time of each thread but the first: they do nothing."""
        return dict.fromkeys(range(1, self.crowd), 0.0)

    def ended_seconds(self, others: dict[int, float]) -> float:
        """CPU time of threads that have ended."""
        return 0.0

    def close(self) -> None:
        """Nothing is held."""


class StillPoll:
    """A fake poll object: every descriptor is always ready."""

    def register(self, *_: int) -> None:
        """Accept any descriptor."""

    def poll(self) -> None:
        """Do not wait."""


class Peer:
    """A fake session process. `script` says what it does; then it is `honest`, or silent.

    `said` is all that it wrote to the controller's socket, `printed` to its output, where a mark tells when. With
    `packets` each of its writes to the output is read by itself.
    """

    def __init__(self, script: bytes, mark: Callable[[bytearray], str], *, honest: bool, packets: bool) -> None:
        self._script = iter(script)
        self._mark = mark
        self._honest = honest
        self._heard = bytearray()
        self._tokens = [bytes(TOKEN_SIZE)]
        self.said, self.printed = bytearray(), bytearray()
        self.killed = self.played = False
        self._control, self._end = socket.socketpair()
        self._output, self._output_end = os.pipe2(os.O_DIRECT) if packets else os.pipe()
        self._life, self._lives = os.pipe()
        for descriptor in (self._control, self._end, self._output, self._output_end):
            os.set_blocking(descriptor if isinstance(descriptor, int) else descriptor.fileno(), False)
        self.number = next(_NUMBERS)
        self.pid = _DEAD + self.number
        self._task = asyncio.get_running_loop().create_task(self._play())

    def handle(self, *, with_life: bool) -> ProcessHandle:
        """The controller's hold of it; take it once."""
        if not with_life:
            os.close(self._life)
        return ProcessHandle(self.number, self.pid, self._control, self._output, self._life if with_life else -1)

    def signal(self, number: int) -> None:
        """Receive a signal; only SIGKILL has an effect."""
        if number == signal.SIGKILL:
            self.killed = True
            self.end()

    def end(self) -> None:
        """Exit."""
        self._task.cancel()
        self._end.close()
        for name in ("_output_end", "_lives"):
            if getattr(self, name) >= 0:
                os.close(getattr(self, name))
                setattr(self, name, -1)

    async def _play(self) -> None:
        acts = (
            lambda n: self._say(bytes(next(self._script, 0) for _ in range(n % 40))),
            lambda n: self._say(self._token()[: n % (TOKEN_SIZE + 1)]),
            lambda n: self._say(bytes(byte ^ (index == n % TOKEN_SIZE) for index, byte in enumerate(self._token()))),
            lambda n: self._say(self._tokens[n % len(self._tokens)] + bytes([n % 4])),
            lambda n: self._say(bytes([n])),
            self._answer,
            lambda n: asyncio.sleep(_PAUSES[n % len(_PAUSES)]),
            lambda n: self._hear(n),
            lambda n: self._write(n * 99),
            self._harm,
            lambda n: self._say(self._token() + bytes([n % 4])),
            self._begin,
            lambda n: self._print(self._token()[: n % (TOKEN_SIZE + 1)]),
            lambda n: self._print(self._tokens[n % len(self._tokens)]),
        )
        for kind in self._script:
            done = acts[kind % len(acts)](next(self._script, 0))
            if isinstance(done, Awaitable):
                await done
            await asyncio.sleep(0)
        self.played = True
        while self._honest:
            await self._answer(0)

    def _harm(self, how: int) -> None:
        with contextlib.suppress(OSError):
            match how % 8:
                case 0:
                    self._end.close()
                case 1:
                    self._end.shutdown(socket.SHUT_RD)
                case 2:
                    self._end.shutdown(socket.SHUT_WR)
                case 3:
                    os.close(self._output_end)
                    self._output_end = -1
                case 4:
                    rights = array.array("i", [self._end.fileno(), self._output_end])
                    self._end.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
                    self.said += b"x"
                case 5:
                    self._say(bytes(_LOUD))
                case 6:
                    self._write(_LOUD)
                case _:
                    self.end()

    async def _answer(self, status: int) -> None:
        """Behave like a session: read the full request, print its token and output, report its end."""
        while (source := self._request()) is None:
            if not self._hear(1 << 16):
                await asyncio.sleep(0.01)
        self._print(self._token())
        self._write(1, f"ran {source[:6].decode(errors='replace')}")
        await asyncio.sleep(0)
        self._say(self._token() + bytes([status % 2]))
        del self._heard[: _HEADER + len(source)]

    def _begin(self, _: int) -> None:
        """Print the token as soon as it is there."""
        self._hear(TOKEN_SIZE)
        self._print(self._token())

    def _request(self) -> bytes | None:
        size = int.from_bytes(self._heard[_HEADER - 4 : _HEADER], "big")
        whole = len(self._heard) >= _HEADER + size and len(self._heard) >= _HEADER
        return bytes(self._heard[_HEADER : _HEADER + size]) if whole else None

    def _token(self) -> bytes:
        """The token of the request that it has read the start of, or one that is none."""
        token = bytes(self._heard[:TOKEN_SIZE])
        if len(token) == TOKEN_SIZE and token != self._tokens[-1]:
            self._tokens.append(token)
        return token if len(token) == TOKEN_SIZE else self._tokens[0]

    def _hear(self, size: int) -> bool:
        data = b""
        with contextlib.suppress(OSError):
            data = self._end.recv(size)
            self._heard += data
        return bool(data)

    def _say(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self.said += data[: self._end.send(data)]

    def _write(self, size: int, more: str = "") -> None:
        self._print((f"<{self._mark(self.printed)} {more}>\n".encode() * size)[:_LOUD])

    def _print(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self.printed += data[: os.write(self._output_end, data)]
