"""The controller's end of the talk with the zygote: starting it, and asking it for processes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import agent
from agent.errors import SandboxError
from agent.sandbox.base import Limits
from agent.sandbox.inside.settings import Settings

_BOOT = Path(__file__).parent / "inside" / "boot.py"
_START_SECONDS = 120.0
_FORK_SECONDS = 20.0
_ENDING_SECONDS = 10.0
_AT_ONCE = 32  # requests under way
_NUMBERS = itertools.count()  # never used twice, by whatever zygote
_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "MPLBACKEND": "Agg",
    "PYTHONHASHSEED": "0",  # sets of strings are in the same order in each run
    "MALLOC_ARENA_MAX": "2",  # an arena for each thread would eat up the address space
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"),
}


@dataclass(frozen=True, slots=True)
class Process:
    """A session's process: its number, its process id, and what the controller holds of it.

    That is its ends of the socket and of the output pipe, and `life`, a descriptor that can be read once the process is
    gone; -1 where the system has none.
    """

    number: int
    pid: int
    control: socket.socket
    output: int
    life: int

    def close(self) -> None:
        """Let go of it."""
        self.control.close()
        os.close(self.output)
        if self.life >= 0:
            os.close(self.life)


@dataclass(frozen=True, slots=True)
class Death:
    """How a session's process ended: its wait status, and the watch's reason if that ended it."""

    status: int
    why: str


class Nursery:
    """A running zygote. Made by `start`; once `broken` it is of no more use."""

    def __init__(self, zygote: subprocess.Popen[bytes], control: socket.socket, base: str) -> None:
        self._zygote = zygote
        self._control = control
        self._base = base
        self._text = b""
        self._waiting: dict[tuple[str, int], asyncio.Future[dict[str, Any]]] = {}
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._hello: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._broken = False
        asyncio.get_running_loop().add_reader(control, self._receive)

    @property
    def broken(self) -> bool:
        """Whether the zygote is gone."""
        return self._broken

    @property
    def missing(self) -> dict[str, str]:
        """The layers that this system does not have, with the reasons."""
        return dict(self._hello.result()["missing"])

    @property
    def libraries_missing(self) -> list[str]:
        """The libraries that sessions would have liked to have."""
        return list(self._hello.result()["libraries"])

    @property
    def pid(self) -> int:
        """The zygote's process id."""
        return self._zygote.pid

    @classmethod
    async def start(cls, limits: Limits, without: frozenset[str]) -> Nursery:
        """Start a zygote and wait until it can fork. Raises SandboxError."""
        ours, theirs = socket.socketpair()
        base = _make_base()
        settings = _settings(limits, base, theirs.fileno(), without)
        try:
            zygote = subprocess.Popen(  # noqa: ASYNC220 - the call returns at once
                [
                    sys.executable,
                    "-s",
                    "-P",
                    "-B",
                    str(_BOOT),
                    str(Path(agent.__file__).parent.parent),
                    settings.to_json(),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=_ENVIRONMENT,
                pass_fds=[theirs.fileno()],
                cwd="/",
            )
        except OSError as error:
            ours.close()
            raise SandboxError(f"the sandbox's Python could not be started: {error}") from error
        finally:
            theirs.close()
        ours.setblocking(False)
        nursery = cls(zygote, ours, base)
        try:
            await asyncio.wait_for(nursery._hello, _START_SECONDS)
        except (TimeoutError, SandboxError) as error:
            said = await nursery.close()
            raise SandboxError(f"the sandbox's Python did not come up: {said or error or 'too slow'}") from error
        except asyncio.CancelledError:
            await nursery.close()
            raise
        return nursery

    async def fork(self) -> Process:
        """A new session's process. Raises SandboxError."""
        number = next(_NUMBERS)
        ours, theirs = socket.socketpair()
        output, their_output = os.pipe()
        process = None
        try:
            try:
                reply = await self._ask({"start": number}, "started", number, [theirs.fileno(), their_output])
            finally:  # a process that dies early is noticed only if nobody else holds its ends
                theirs.close()
                os.close(their_output)
            ours.setblocking(False)
            os.set_blocking(output, False)
            process = Process(number, reply["pid"], ours, output, _life(reply["pid"]))
            await self._await_ready(process)
        except BaseException:
            (process or Process(number, -1, ours, output, -1)).close()
            with contextlib.suppress(SandboxError):
                self._send({"end": number}, [])
            raise
        return process

    async def bury(self, number: int) -> Death:
        """End a session's process and wait until nothing of it is left; an unknown one counts as dead."""
        try:
            reply = await self._ask({"end": number}, "ended", number, [])
        except SandboxError as error:
            return Death(9, str(error))
        return Death(reply["status"], reply["why"])

    async def close(self) -> str:
        """End the zygote and all that it forked; what it wrote to its standard error."""
        self._lose()
        said = await asyncio.to_thread(self._reap)
        await asyncio.to_thread(shutil.rmtree, self._base, ignore_errors=True)
        return said

    def _reap(self) -> str:
        try:
            _, said = self._zygote.communicate(timeout=_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self._zygote.kill()
            _, said = self._zygote.communicate()
        return said.decode(errors="replace").strip().rpartition("\n")[2]

    async def _ask(self, message: dict[str, int], answer: str, number: int, descriptors: list[int]) -> dict[str, Any]:
        async with self._gate:
            self._send(message, descriptors)
            future = asyncio.get_running_loop().create_future()
            self._waiting[answer, number] = future
            try:
                return await asyncio.wait_for(future, _FORK_SECONDS)
            except TimeoutError:
                raise SandboxError(f"the sandbox's zygote gave no answer in {_FORK_SECONDS:.0f} s") from None
            finally:
                del self._waiting[answer, number]

    async def _await_ready(self, process: Process) -> None:
        loop = asyncio.get_running_loop()
        try:
            said = await asyncio.wait_for(loop.sock_recv(process.control, 1_000), _FORK_SECONDS)
        except TimeoutError:
            raise SandboxError(f"a session's process was not ready in {_FORK_SECONDS:.0f} s") from None
        if said != b"ready":
            raise SandboxError(said.decode(errors="replace") or "a session's process died while it started")

    def _send(self, message: dict[str, int], descriptors: list[int]) -> None:
        if self._broken:
            raise SandboxError("the sandbox's zygote is gone")
        try:
            socket.send_fds(self._control, [json.dumps(message).encode() + b"\n"], descriptors)
        except BlockingIOError as error:
            raise SandboxError("the sandbox's zygote takes no more requests at present") from error
        except OSError as error:  # it is gone, which the event loop may not have heard of yet
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
            self._take(json.loads(line))

    def _take(self, message: dict[str, Any]) -> None:
        if "missing" in message:
            self._hello.set_result(message)
            return
        if "refused" in message:
            self._hello.set_exception(SandboxError(message["refused"]))
            return
        kind = next(key for key in ("started", "failed", "ended") if key in message)
        future = self._waiting.get(("started" if kind == "failed" else kind, message[kind]))
        if future is None or future.done():
            return
        if kind == "failed":
            future.set_exception(SandboxError(message["why"]))
        else:
            future.set_result(message)

    def _lose(self) -> None:
        if self._broken:
            return
        self._broken = True
        asyncio.get_running_loop().remove_reader(self._control)
        self._control.close()
        for future in (self._hello, *self._waiting.values()):
            if not future.done():
                future.set_exception(SandboxError("the sandbox's zygote is gone"))


def _life(pid: int) -> int:
    """What `Process.life` is for this process."""
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            return os.pidfd_open(pid)
    return -1


def _make_base() -> str:
    base = tempfile.mkdtemp(prefix="sandbox-")
    Path(base).chmod(0o711)  # sessions under other users have to find their own directory in it
    return base


def _settings(limits: Limits, base: str, control: int, without: frozenset[str]) -> Settings:
    return Settings(
        base=base,
        control=control,
        memory=limits.memory_bytes,
        total_memory=limits.total_memory_bytes or _host_memory() // 2,
        scratch=limits.scratch_bytes,
        file=limits.file_bytes,
        entries=limits.scratch_entries,
        open_files=limits.open_files,
        threads=limits.threads,
        without=tuple(sorted(without)),
    )


def _host_memory() -> int:
    """Bytes of memory of the host, or of the container where that has less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            total = min(total, int(Path(path).read_text()))
    return total
