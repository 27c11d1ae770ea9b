"""The sandbox: sessions that are forks of one prepared Python, confined by all the layers that the system has."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from agent.errors import SandboxError
from agent.sandbox.base import Limits
from agent.sandbox.client import ForkServerClient, ProcessExit, StartDiedError
from agent.sandbox.endings import (
    INTERFERENCE,
    LOST,
    RESTORED,
    RESTORING,
    UNKNOWN_EXIT,
    USABLE,
    exit_reason,
    is_limit,
    retry_note,
    stop_reason,
)
from agent.sandbox.history import History
from agent.sandbox.outcome import CellOutcome, Stop
from agent.sandbox.process import SessionProcess
from agent.sandbox.replay import run_again
from agent.types import ToolRun, ToolStatus

_REAP_SECONDS = 1.0
_ATTEMPTS = 3
_MAX_RETRY_SECONDS = 4.5  # after which a cell is not retried
_MAX_LATE_SECONDS = 5.0  # how long after its limit a lost cell waits for earlier ones to be run again
_T = TypeVar("_T")


class ForkServerSandbox:
    """A source of sessions, of which `warm` are kept ready. `without` names layers to leave out.

    Starts at the first session, or with `start`.
    """

    def __init__(self, limits: Limits | None = None, *, warm: int = 2, without: frozenset[str] = frozenset()) -> None:
        self.limits = limits or Limits()
        self._warm = warm
        self._without = without
        self._client: ForkServerClient | None = None
        self._starting = asyncio.Lock()
        self._pool: list[SessionProcess] = []
        self._sessions: set[ForkServerSession] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._refilling = False
        self._closed = False

    async def start(self) -> None:
        """Start the zygote and fill the pool. Raises SandboxError."""
        await self.client()
        await self._refill()

    async def session(self, seed: int | None = None) -> ForkServerSession:
        """A fresh session; see `agent.sandbox.base.Sandbox`."""
        if seed is None:
            seed = int.from_bytes(os.urandom(4), "big")
        session = ForkServerSession(self, await self.acquire(), seed)
        self._sessions.add(session)
        return session

    async def close(self) -> None:
        """End all sessions and the zygote. May be called twice."""
        self._closed = True
        for session in list(self._sessions):
            await session.close()
        while tasks := set(self._tasks):
            await asyncio.gather(*tasks, return_exceptions=True)
            self._tasks -= tasks  # from Python 3.12 on, gather may return before the callbacks of ended tasks have run
        while self._pool:
            await self.reap(self._pool.pop())
        async with self._starting:
            if self._client is not None:
                await self._client.close()
            self._client = None

    async def client(self) -> ForkServerClient:
        """The client of the zygote, both restarted if the zygote is gone. Raises SandboxError."""
        async with self._starting:
            if self._closed:
                raise SandboxError("the sandbox is closed: open another one")
            if self._client is not None and self._client.broken:
                await self._client.close()
                self._client = None
            if self._client is None:
                self._client = await ForkServerClient.start(self.limits, self._without)
            return self._client

    async def zygote_pid(self) -> int:
        """The process id of the zygote."""
        return (await self.client()).pid

    async def acquire(self) -> SessionProcess:
        """A live process from the pool, or a new one. Raises SandboxError."""
        while self._pool:
            process = self._pool.pop()
            self.spawn(self._refill())
            if not process.lost:
                return process
            await self.reap(process)
        process = await self._fork()
        self.spawn(self._refill())
        return process

    async def reap(self, process: SessionProcess) -> ProcessExit:
        """End a process, wait until nothing of it is left, and return its exit."""
        process.release()
        if self._client is None:
            return ProcessExit(0, "")
        return await self._client.reap(process.handle.number)

    def reap_later(self, process: SessionProcess) -> asyncio.Task[ProcessExit]:
        """The same without waiting."""
        process.release()
        return self.spawn(self.reap(process))

    def forget(self, session: ForkServerSession) -> None:
        """Forget a session that was closed."""
        self._sessions.discard(session)

    def spawn(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Start a task that `close` waits for."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _fork(self) -> SessionProcess:
        """A new process; another one if it died before it was ready, or with the zygote. Raises SandboxError."""
        left = _ATTEMPTS
        while True:
            left -= 1
            client = await self.client()
            try:
                return SessionProcess(await client.fork(), self.limits)
            except SandboxError as error:
                if not left or not (client.broken or isinstance(error, StartDiedError)):
                    raise

    async def _refill(self) -> None:
        if self._refilling:
            return
        self._refilling = True
        try:
            with contextlib.suppress(SandboxError):  # whoever asks for a session gets the error
                while len(self._pool) < self._warm and not self._closed:
                    self._pool.insert(0, await self._fork())
        finally:
            self._refilling = False


class ForkServerSession:
    """One sample's Python; a lost process is replaced, at the latest when the next cell comes."""

    def __init__(self, sandbox: ForkServerSandbox, process: SessionProcess, seed: int) -> None:
        self._sandbox = sandbox
        self._process: SessionProcess | None = process
        self._seed = seed
        self._used = False  # whether the process has begun a cell: it has something to lose
        self._history = History()
        self._replay: asyncio.Task[SessionProcess | None] | None = None  # restores the variables before the next cell
        self._replayed = self._history  # the cells that it runs
        self._lock = asyncio.Lock()
        self._closed = False

    async def run(self, code: str, timeout: float | None = None) -> ToolRun:  # noqa: ASYNC109
        """Run one cell; see `agent.sandbox.base.Session`."""
        started = time.monotonic()
        limits = self._sandbox.limits
        source = code.encode("utf-8", "surrogatepass")
        if len(source) > limits.source_bytes:
            text = f"The cell was not run: its {len(source)} bytes exceed the limit of {limits.source_bytes}."
            return ToolRun(code, text, ToolStatus.ERROR, time.monotonic() - started)
        seconds = limits.cell_seconds if timeout is None else timeout
        await self._lock.acquire()  # `async with` would take two coroutines more
        try:
            note = await self._await_replay() if self._replay is not None else ""
            if self._closed:
                raise SandboxError("the session is closed: ask the sandbox for another one")
            status, output = await self._run(source, seconds, note)
        finally:
            self._lock.release()
        return ToolRun(code, output, status, time.monotonic() - started)

    async def close(self) -> None:
        """End the session and everything it started. May be called twice."""
        self._closed = True
        self._sandbox.forget(self)
        if self._replay is not None:
            self._replay.cancel()
            await self._await_replay()
        process, self._process = self._process, None
        if process is not None:
            await self._sandbox.reap(process)

    async def _run(self, source: bytes, seconds: float, note: str) -> tuple[ToolStatus, str]:
        """Run a cell and return its status and output, which begins with this note or one that replaces it."""
        started = time.monotonic()
        for _ in range(_ATTEMPTS):
            begun = time.monotonic()
            if self._process is None:
                self._process = await self._sandbox.acquire()
            try:
                outcome = await self._process.run(source, seconds, self._seed)
            except BaseException:
                self._drop()
                raise
            again = retry_note(outcome, used=self._used)
            if not again or self._closed or time.monotonic() - started > _MAX_RETRY_SECONDS:
                break
            if self._used:
                note = again
            self._drop()
        self._used = True
        if outcome.status not in USABLE:
            status, remark = await self._replace(outcome, seconds, begun)
        elif outcome.stop is Stop.NONE:
            self._remember(source, outcome)
            status, remark = (ToolStatus.ERROR if outcome.status else ToolStatus.OK), ""
        else:
            self._history.spoil()
            status = ToolStatus.ERROR if outcome.stop is Stop.OUTPUT else ToolStatus.TIMEOUT
            remark = f"{stop_reason(outcome.stop, seconds, self._sandbox.limits)} The session's variables are kept."
        output = outcome.output.rstrip("\n")
        interference = INTERFERENCE if outcome.crowded and (status is not ToolStatus.OK or not output) else ""
        return status, "\n".join(filter(None, (note, output, remark, interference)))

    def _remember(self, source: bytes, outcome: CellOutcome) -> None:
        if outcome.crowded:  # what threads do, and when, cannot be reproduced
            self._history.spoil()
        if self._process is not None and outcome.status is not None and self._history.is_whole:
            self._history.add(source, outcome.status, self._process.worked())

    async def _replace(self, outcome: CellOutcome, seconds: float, begun: float) -> tuple[ToolStatus, str]:
        """Give the lost process up; return the cell's status, and why it ended and what is lost or restored."""
        history = self._history
        stopped = stop_reason(outcome.stop, seconds, self._sandbox.limits)
        if outcome.stop in (Stop.TIME, Stop.CPU):
            self._drop()  # its exit would say nothing more
            status, reason, ended = ToolStatus.TIMEOUT, stopped, UNKNOWN_EXIT
        else:
            ended = await self._reap()
            status, reason = ToolStatus.KILLED, stopped or exit_reason(outcome, ended, self._sandbox.limits)
        if not is_limit(outcome, ended) or not history.cells:
            return status, f"{reason} {LOST}"
        again = run_again(history, self._seed, self._sandbox.acquire, self._sandbox.reap_later)
        self._replay, self._replayed = self._sandbox.spawn(again), history
        late = time.monotonic() - begun - seconds
        done, _ = await asyncio.wait([self._replay], timeout=max(0.0, _MAX_LATE_SECONDS - late))
        return status, f"{reason} {(await self._await_replay() or RESTORED) if done else RESTORING}"

    async def _await_replay(self) -> str:
        """Wait for the replay of earlier cells, if there is one; return a note if it failed."""
        replay = self._replay
        if replay is None:
            return ""
        await asyncio.wait([replay])
        if self._replay is replay:  # `close` may wait for it, too
            self._replay = None
            self._process = None if replay.cancelled() else replay.result()
            if self._process is not None:
                self._history, self._used = self._replayed, True
        return "" if self._process is not None else LOST

    def _drop(self) -> None:
        process, self._process = self._process, None
        self._used, self._history = False, History()
        if process is not None:
            self._sandbox.reap_later(process)

    async def _reap(self) -> ProcessExit:
        """Reap the lost process and return its exit if that is known soon: on a busy host even exiting takes time."""
        process, self._process = self._process, None
        self._used, self._history = False, History()
        if process is None:
            return UNKNOWN_EXIT
        reaping = self._sandbox.reap_later(process)
        done, _ = await asyncio.wait([reaping], timeout=_REAP_SECONDS)
        return reaping.result() if done else UNKNOWN_EXIT
