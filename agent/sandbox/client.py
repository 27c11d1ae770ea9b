"""The client of the fork server: starts the zygote and asks it for processes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
from dataclasses import dataclass
from typing import Any, TypeVar

from agent.errors import SandboxError
from agent.sandbox.base import Limits
from agent.sandbox.launch import launch_zygote, make_base
from agent.sandbox.protocol import (
    READY,
    EndSession,
    SessionEnded,
    SessionFailed,
    SessionStarted,
    StartSession,
    ZygoteMessage,
    ZygoteReady,
    ZygoteRefused,
    decode_message,
    encode_message,
)

_START_SECONDS = 120.0
_FORK_SECONDS = 20.0
_ENDING_SECONDS = 10.0
_MAX_PENDING = 32  # requests
_NUMBERS = itertools.count()  # never used twice, even by different zygotes

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ProcessHandle:
    """A session's process: its number, its process id, and the controller's descriptors for it.

    `control` is the controller's end of the socket, `output` that of the output pipe. `life` can be read once the
    process has exited; it is -1 where the system has no such descriptor.
    """

    number: int
    pid: int
    control: socket.socket
    output: int
    life: int

    def close(self) -> None:
        """Close the descriptors."""
        self.control.close()
        os.close(self.output)
        if self.life >= 0:
            os.close(self.life)


@dataclass(frozen=True, slots=True)
class ProcessExit:
    """How a session's process ended: its wait status, and the watch's reason if that ended it."""

    status: int
    why: str


class StartDiedError(SandboxError):
    """A session's process died before it was ready; another one may live."""


class ForkServerClient:
    """A connection to a running zygote. Made by `start`; once `broken` it can no longer be used."""

    def __init__(self, zygote: subprocess.Popen[bytes], control: socket.socket, base: str) -> None:
        self._zygote = zygote
        self._control = control
        self._base = base
        self._text = b""
        self._starting: dict[int, asyncio.Future[SessionStarted]] = {}
        self._ending: dict[int, asyncio.Future[SessionEnded]] = {}
        self._gate = asyncio.Semaphore(_MAX_PENDING)
        self._hello: asyncio.Future[ZygoteReady] = asyncio.get_running_loop().create_future()
        self._broken = False
        asyncio.get_running_loop().add_reader(control, self._receive)

    @property
    def broken(self) -> bool:
        """Whether the zygote is gone."""
        return self._broken

    @property
    def missing(self) -> dict[str, str]:
        """The layers that this system lacks, with the reasons."""
        return dict(self._hello.result().missing)

    @property
    def libraries_missing(self) -> list[str]:
        """The libraries that are not installed for sessions."""
        return list(self._hello.result().libraries)

    @property
    def pid(self) -> int:
        """The zygote's process id."""
        return self._zygote.pid

    @classmethod
    async def start(cls, limits: Limits, without: frozenset[str]) -> ForkServerClient:
        """Start a zygote and wait until it can fork. Raises SandboxError."""
        ours, theirs = socket.socketpair()
        base = make_base()
        try:
            zygote = launch_zygote(limits, base, theirs.fileno(), without)
        except OSError as error:
            ours.close()
            raise SandboxError(f"the sandbox's Python could not be started: {error}") from error
        finally:
            theirs.close()
        ours.setblocking(False)
        client = cls(zygote, ours, base)
        try:
            await asyncio.wait_for(client._hello, _START_SECONDS)
        except (TimeoutError, SandboxError) as error:
            said = await client.close()
            raise SandboxError(f"the sandbox's Python did not come up: {said or error or 'too slow'}") from error
        except asyncio.CancelledError:
            await client.close()
            raise
        return client

    async def fork(self) -> ProcessHandle:
        """Fork a new session's process. Raises SandboxError."""
        number = next(_NUMBERS)
        ours, theirs = socket.socketpair()
        output, their_output = os.pipe()
        handle = None
        try:
            try:
                started = await self._ask(StartSession(number), self._starting, [theirs.fileno(), their_output])
            finally:  # a process that dies early is noticed only if nobody else holds its ends
                theirs.close()
                os.close(their_output)
            ours.setblocking(False)
            os.set_blocking(output, False)
            handle = ProcessHandle(number, started.pid, ours, output, _life(started.pid))
            await self._await_ready(handle)
        except BaseException:
            (handle or ProcessHandle(number, -1, ours, output, -1)).close()
            with contextlib.suppress(SandboxError):
                self._send(EndSession(number), [])
            raise
        return handle

    async def reap(self, number: int) -> ProcessExit:
        """End a session's process and wait until nothing of it is left; an unknown one counts as killed."""
        try:
            ended = await self._ask(EndSession(number), self._ending, [])
        except SandboxError as error:
            return ProcessExit(signal.SIGKILL, str(error))
        return ProcessExit(ended.status, ended.why)

    async def close(self) -> str:
        """End the zygote and all that it forked; return the last line of its standard error."""
        self._lose()
        said = await asyncio.to_thread(self._await_exit)
        await asyncio.to_thread(shutil.rmtree, self._base, ignore_errors=True)
        return said

    def _await_exit(self) -> str:
        try:
            _, said = self._zygote.communicate(timeout=_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self._zygote.kill()
            _, said = self._zygote.communicate()
        return said.decode(errors="replace").strip().rpartition("\n")[2]

    async def _ask(
        self, request: StartSession | EndSession, waiting: dict[int, asyncio.Future[_T]], descriptors: list[int]
    ) -> _T:
        """Send a request and wait for its answer. Raises SandboxError."""
        async with self._gate:
            self._send(request, descriptors)
            future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
            waiting[request.number] = future
            try:
                return await asyncio.wait_for(future, _FORK_SECONDS)
            except TimeoutError:
                raise SandboxError(f"the sandbox's zygote gave no answer in {_FORK_SECONDS:.0f} s") from None
            finally:
                del waiting[request.number]

    async def _await_ready(self, handle: ProcessHandle) -> None:
        loop = asyncio.get_running_loop()
        try:
            said = await asyncio.wait_for(loop.sock_recv(handle.control, 1_000), _FORK_SECONDS)
        except TimeoutError:
            raise SandboxError(f"a session's process was not ready in {_FORK_SECONDS:.0f} s") from None
        if not said:
            ended = await self.reap(handle.number)
            raise StartDiedError(f"a session's process died while it started (wait status {ended.status}) {ended.why}")
        if said != READY:
            raise SandboxError(said.decode(errors="replace"))

    def _send(self, request: StartSession | EndSession, descriptors: list[int]) -> None:
        if self._broken:
            raise SandboxError("the sandbox's zygote is gone")
        try:
            socket.send_fds(self._control, [encode_message(request)], descriptors)
        except BlockingIOError as error:
            raise SandboxError("the sandbox's zygote takes no more requests at present") from error
        except OSError as error:  # it has exited, which the event loop may not have noticed yet
            self._lose()
            raise SandboxError(f"the sandbox's zygote cannot be reached: {error}") from error

    def _receive(self) -> None:
        try:
            data = self._control.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose()
        *lines, self._text = (self._text + data).split(b"\n")
        for line in lines:
            self._take(decode_message(line))

    def _take(self, message: ZygoteMessage) -> None:
        match message:
            case ZygoteReady():
                self._hello.set_result(message)
            case ZygoteRefused(why):
                self._hello.set_exception(SandboxError(why))
            case SessionStarted(number):
                _settle(self._starting.get(number), message)
            case SessionFailed(number, why):
                _settle(self._starting.get(number), SandboxError(why))
            case SessionEnded(number):
                _settle(self._ending.get(number), message)

    def _lose(self) -> None:
        if self._broken:
            return
        self._broken = True
        asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()
        waiting: list[asyncio.Future[Any]] = [self._hello, *self._starting.values(), *self._ending.values()]
        for future in waiting:
            _settle(future, SandboxError("the sandbox's zygote is gone"))


def _settle(future: asyncio.Future[_T] | None, outcome: _T | SandboxError) -> None:
    """Resolve the future, if anybody still waits for it, with a message or an error."""
    if future is None or future.done():
        return
    if isinstance(outcome, SandboxError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _life(pid: int) -> int:
    """Open `ProcessHandle.life` for this process."""
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            return os.pidfd_open(pid)
    return -1
