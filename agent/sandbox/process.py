"""Runs each session's Python in a child process of its own, under the limits any POSIX system offers.

Covered, for code that is careless: endless loops (interrupted, then killed), memory beyond the limit, floods
of output, crashes, exits, any use of the streams, child processes left behind, files over 64 MiB.

NOT covered, so this is no place for hostile code:

- Network and files: a cell may do what the user may. Only its directory, environment and stdin are its own.
- The memory limit holds for each process, not for the session; macOS may not enforce it. Nothing limits the
  number of processes, the disk they fill, or whom of the user's processes they signal.
- A child that has left the process group outlives its session if Python crashed or, except on Linux, if the
  child's own parent has ended. If the agent is killed, Python dies, but its children and directory may stay.
- A cell that searches the interpreter can find the control socket and lie about its own status, no more: a
  reply is compared with the two honest ones, never parsed.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from agent.errors import SandboxError
from agent.sandbox import worker
from agent.sandbox.base import Limits
from agent.types import ToolRun, ToolStatus

START_SECONDS = 60.0  # for a machine that is overloaded; it takes about 0.1 s
GRACE_SECONDS = 1.0  # between the interrupt and the kill
READ_BYTES = 1 << 16
DRAIN_READS = 16  # together as much as a pipe may hold: a child may never stop printing
KEPT = "the session goes on with its variables"
RESTARTED = "the session was restarted and its variables are lost"


class ProcessSandbox:
    """A source of sessions, each of which starts its process at its first cell."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._sessions: set[ProcessSession] = set()
        self._closed = False

    async def session(self) -> ProcessSession:
        """A fresh session. Raises SandboxError if the sandbox is closed."""
        if self._closed:
            raise SandboxError("the sandbox is closed: open a new one to start a session")
        session = ProcessSession(self._limits, self._sessions.discard)
        self._sessions.add(session)
        return session

    async def close(self) -> None:
        """End all sessions. May be called twice."""
        self._closed = True
        await asyncio.gather(*(session.close() for session in tuple(self._sessions)))


class ProcessSession:
    """One sample's own Python. A kill or a crash replaces its process and its directory."""

    def __init__(self, limits: Limits, on_close: Callable[[ProcessSession], None]) -> None:
        self._limits = limits
        self._on_close = on_close
        self._turn = asyncio.Lock()
        self._worker: _Worker | None = None
        self._closed = False

    async def run(self, code: str, timeout: float | None = None) -> ToolRun:  # noqa: ASYNC109
        """Run one cell for at most `timeout` seconds, not counting the start of the process.

        The cell is run as in a notebook: the value of a last expression is shown, an error by its traceback.
        What had to be said about a time-out or a crash stands in brackets behind the cell's own output.
        Raises SandboxError if the process cannot be started or the session is closed.
        """
        seconds = self._limits.cell_seconds if timeout is None else max(timeout, 0.0)
        async with self._turn:
            if self._closed:
                raise SandboxError("the Python session is closed: ask the sandbox for a new one")
            started = time.perf_counter()
            output = HeadTail(self._limits.output_chars)
            alive = False
            try:
                if self._worker is None:
                    self._worker = await _Worker.start(self._limits.memory_bytes)
                if self._closed:  # during the start
                    self._worker.kill()
                status, note, alive = await self._worker.run(code, seconds, output)
            finally:
                if not alive:
                    await self._end_worker()
            return ToolRun(code, output.text(note), status, time.perf_counter() - started)

    async def close(self) -> None:
        """End the process and all it started; a running cell is killed. May be called twice."""
        self._closed = True
        if self._worker is not None:
            self._worker.kill()
        async with self._turn:
            await self._end_worker()
        self._on_close(self)

    async def _end_worker(self) -> None:
        ending, self._worker = self._worker, None
        if ending is not None:
            await ending.end()


class HeadTail:
    """Keeps `limit` characters of a stream of UTF-8, half head and half tail, and counts what it cuts."""

    def __init__(self, limit: int) -> None:
        self._head_limit = limit // 2
        self._tail_limit = limit - self._head_limit
        self._head = self._tail = ""
        self._cut = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data: bytes) -> None:
        """Take the next piece of the stream."""
        text = self._decoder.decode(data)
        room = self._head_limit - len(self._head)
        self._head += text[:room]
        tail = self._tail + text[room:]
        self._cut += max(len(tail) - self._tail_limit, 0)
        self._tail = tail[-self._tail_limit :]

    def text(self, note: str) -> str:
        """What is kept, with the cut stated in its place and `note` on a line of its own behind it."""
        middle = f"\n[... {self._cut} characters cut ...]\n" if self._cut else ""
        text = self._head + middle + self._tail
        return f"{text}\n{note}" if note and text and not text.endswith("\n") else text + note


@dataclass(eq=False)
class _Worker:
    """A running worker.py with our ends of its control socket and its output pipe."""

    _process: Process
    _control: socket.socket
    _output: int
    _resources: contextlib.ExitStack

    def __post_init__(self) -> None:
        self._exited = asyncio.create_task(self._process.wait())

    @classmethod
    async def start(cls, memory_bytes: int) -> _Worker:
        """A worker that waits for its first cell. Raises SandboxError if there is none in START_SECONDS."""
        try:
            started = await cls._spawn(memory_bytes)
        except OSError as error:
            raise SandboxError(f"Python cannot be started for a session: {error}") from error
        try:
            reply, _ = await started._ask(b"", START_SECONDS)
            if reply != _frame({"ready": True}):
                raise SandboxError("Python did not start: raise sandbox.memory_mib or lower the load")
        except BaseException:
            await started.end()
            raise
        return started

    @classmethod
    async def _spawn(cls, memory_bytes: int) -> _Worker:
        with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
            scratch = ours.enter_context(TemporaryDirectory(prefix="python-", ignore_cleanup_errors=True))
            control, its_control = socket.socketpair()
            ours.enter_context(control).setblocking(False)
            theirs.enter_context(its_control)
            output, its_output = os.pipe()
            ours.callback(os.close, output)
            theirs.callback(os.close, its_output)
            os.set_blocking(output, False)
            arguments = (its_control.fileno(), os.getpid(), memory_bytes)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-B", worker.__file__, *map(str, arguments)),
                stdin=DEVNULL,
                stdout=its_output,
                stderr=STDOUT,
                pass_fds=[its_control.fileno()],
                start_new_session=True,
                cwd=scratch,
                env=_environment(scratch),
            )
            return cls(process, control, output, ours.pop_all())

    async def run(self, code: str, seconds: float, output: HeadTail) -> tuple[ToolStatus, str, bool]:
        """Run a cell: its status, what is to be said about it, and whether the worker can run another."""
        token = secrets.token_hex(8)
        ok, error = (_frame({"cell": token, "ok": ok}) for ok in (True, False))
        verdicts = {ok: ToolStatus.OK, error: ToolStatus.ERROR}
        loop = asyncio.get_running_loop()
        loop.add_reader(self._output, self._read_output, output)
        try:
            reply, in_time = await self._ask(_frame({"cell": token, "code": code}), seconds)
        finally:
            loop.remove_reader(self._output)
        status = verdicts.get(reply)
        cause = "" if in_time else f"timed out after {seconds:.3g} s"
        if status is None:
            cause = cause or await self._cause_of_death()
            self.kill()
            await asyncio.wait({self._exited})
        for _ in range(DRAIN_READS):
            if not self._read_output(output):
                break
        note = f"[{cause}; {RESTARTED if status is None else KEPT}]" if cause else ""
        return (status or ToolStatus.KILLED) if in_time else ToolStatus.TIMEOUT, note, status is not None

    def kill(self) -> None:
        """Kill the process, its group and all descendants to be found, without waiting for their end."""
        descendants: list[psutil.Process] = []
        if self._process.returncode is None:  # else the number may be another's by now
            with contextlib.suppress(psutil.Error):
                descendants = psutil.Process(self._process.pid).children(recursive=True)
        self._signal_group(signal.SIGKILL)
        for descendant in descendants:
            with contextlib.suppress(psutil.Error):
                descendant.kill()

    async def end(self) -> None:
        """Kill, wait for the end of the process, and free what it held here."""
        self.kill()
        try:
            await asyncio.wait({self._exited})
        finally:
            self._resources.close()

    async def _ask(self, request: bytes, seconds: float) -> tuple[bytes, bool]:
        """Send a frame: the reply (empty if the worker gives none) and whether it needed no interrupt."""
        replying = asyncio.create_task(self._exchange(request))
        first_of = partial(asyncio.wait, {replying, self._exited}, return_when=asyncio.FIRST_COMPLETED)
        try:
            in_time, _ = await first_of(timeout=seconds)
            if not in_time:
                self._signal_group(signal.SIGINT)
                await first_of(timeout=GRACE_SECONDS)
            return (replying.result() if replying.done() else b""), bool(in_time)
        finally:
            replying.cancel()
            await asyncio.wait({replying})

    async def _exchange(self, request: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_sendall(self._control, request)
            return await loop.sock_recv(self._control, READ_BYTES)  # an honest reply comes in one piece
        except OSError:  # the worker has died with the request unread
            return b""

    def _read_output(self, output: HeadTail) -> bool:
        """Take what the pipe holds; False if that is nothing."""
        with contextlib.suppress(BlockingIOError):
            if data := os.read(self._output, READ_BYTES):
                output.feed(data)
                return True
            asyncio.get_running_loop().remove_reader(self._output)  # all writers are gone
        return False

    async def _cause_of_death(self) -> str:
        # The socket of a crashed process closes a little before the process can be reaped.
        await asyncio.wait({self._exited}, timeout=GRACE_SECONDS)
        code = self._process.returncode
        if code is None:
            return "the cell broke the connection between Python and the agent"
        if code == worker.OUT_OF_MEMORY:
            return "Python ran out of memory"
        return f"Python died: {signal.strsignal(-code)}" if code < 0 else f"Python exited with status {code}"

    def _signal_group(self, number: signal.Signals) -> None:
        # PermissionError: macOS, where the group has only zombies left.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def _frame(content: dict[str, str | bool]) -> bytes:
    return json.dumps(content).encode() + b"\n"


def _environment(scratch: str) -> dict[str, str]:
    """The whole environment of a cell: nothing of the agent's, and one thread for linear algebra."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.defpath])
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {"PATH": path, "HOME": scratch, "TMPDIR": scratch, "LANG": "C.UTF-8", **one_thread}
