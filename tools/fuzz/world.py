"""What the fuzzed controller meets: fake processes, their clock, and a sandbox that gives them out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar
from unittest import mock

from agent.sandbox import forkserver
from agent.sandbox import process as session_process
from agent.sandbox.base import Limits
from agent.sandbox.client import ProcessExit
from tools.fuzz.peers import FileLoop, Peer, StillMeter, Substitute

_LONG = 400_000  # bytes: more than a socket holds
_LIMITS = Limits(output_bytes=1 << 20, output_chars=1 << 20)
_T = TypeVar("_T")


class FuzzedWorld:
    """The live peers, and the replaced functions through which the controller reaches them."""

    def __init__(self, data: bytes) -> None:
        self.peers: dict[int, Peer] = {}
        self.tokens: list[bytes] = []
        self._processes: list[session_process.SessionProcess] = []
        self.cell = 0
        self._style = data[0] if data else 0
        self._scripts = iter([part for part in data[1:].split(b"\xff", 1) if part])

    def peer(self) -> Peer:
        """Create a peer: the first two follow the fuzzer's bytes, the others are honest."""
        script = next(self._scripts, b"")
        honest = not script or bool(self._style & 1)
        peer = Peer(script, self._mark, honest=honest, packets=bool(self._style & 32))
        self.peers[peer.pid] = peer
        return peer

    def _mark(self, printed: bytearray) -> str:
        """Return a marker of the current cell, and whether a peer with this output has not begun it."""
        return f"{'early' if self.tokens and self.tokens[-1] not in printed else ''}{self.cell}"

    def process(self, peer: Peer) -> session_process.SessionProcess:
        """The controller's view of it."""
        self._processes.append(session_process.SessionProcess(peer.handle(with_life=bool(self._style & 2)), _LIMITS))
        return self._processes[-1]

    def source(self) -> str:
        """The code of the next cell."""
        return f"cell {self.cell}" + "x" * (_LONG * (self._style >> 4 & 1))

    def begun(self, tokens: int) -> bool:
        """Whether a request later than so many was said to have begun."""
        return any(bytes(token) in peer.printed for token in self.tokens[tokens:] for peer in self.peers.values())

    def kill(self, pid: int, number: int) -> None:
        """Stands in for `os.kill`."""
        self.peers[pid].signal(number)

    def draw(self, size: int) -> bytes:
        """Stands in for `os.urandom`, and remembers."""
        self.tokens.append(os.urandom(size))
        return self.tokens[-1]

    def end(self) -> None:
        """Close everything."""
        for process in self._processes:
            process.release()
        for peer in self.peers.values():
            peer.end()

    @contextlib.contextmanager
    def entered(self, loop: FileLoop) -> Iterator[None]:
        """Let the controller's modules see this world and its clock."""
        meter = type("Meter", (StillMeter,), {"starved": bool(self._style & 4), "crowd": 1 + (self._style >> 3 & 1)})
        clock = Substitute(time, monotonic=loop.time)
        with (
            mock.patch.object(session_process, "os", Substitute(os, kill=self.kill, urandom=self.draw)),
            mock.patch.object(session_process, "Meter", meter),
            mock.patch.object(forkserver, "time", clock),
        ):
            yield


class FuzzedSandbox:
    """Stands in for the sandbox of a session: it has processes as long as they are wanted."""

    def __init__(self, world: FuzzedWorld) -> None:
        self.limits = _LIMITS
        self._world = world
        self.latest: Peer | None = None

    async def acquire(self) -> session_process.SessionProcess:
        """A fresh process."""
        self.latest = self._world.peer()
        return self._world.process(self.latest)

    async def reap(self, dead: session_process.SessionProcess) -> ProcessExit:
        """End a process."""
        dead.release()
        return ProcessExit(9, "")

    def reap_later(self, dead: session_process.SessionProcess) -> asyncio.Task[ProcessExit]:
        """The same without waiting."""
        return self.spawn(self.reap(dead))

    def spawn(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Start a task."""
        return asyncio.get_running_loop().create_task(work)

    def forget(self, session: object) -> None:
        """Nothing is remembered."""
