"""One live session process as the controller sees it: cells go in, their ends and their output come out."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from enum import StrEnum

from agent.sandbox import meter
from agent.sandbox.base import Limits
from agent.sandbox.capture import Capture
from agent.sandbox.inside.child import MAGIC, NAME_SIZE
from agent.sandbox.nursery import Process

_GRACE = 1.0  # seconds between the interrupt and the end
_MOST_EXTRA = 2.0  # seconds that a cell gets back, at most, for having had no CPU
_LEAST_CHECK = 0.05
_CHUNK = 1 << 16
_DRAIN_ROUNDS = 64
_CPUS = os.cpu_count() or 1


class Stop(StrEnum):
    """Why the controller stopped a cell."""

    NONE = ""
    TIME = "time"
    CPU = "cpu"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a cell ended: the process's status (None: it is gone), why it was stopped, what it printed."""

    status: int | None
    stop: Stop
    output: str


class Running:
    """Runs one cell at a time in a process that is stopped in between. What it sends is untrusted."""

    def __init__(self, process: Process, limits: Limits) -> None:
        self.process = process
        self._lost = False
        self._released = False
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._capture = Capture(limits.output_chars)
        self._expected = b""
        self._done: asyncio.Future[int | None] | None = None
        self._stop = Stop.NONE
        self._timers: list[asyncio.TimerHandle] = []
        self._loop.add_reader(process.control, self._on_control)
        self._loop.add_reader(process.output, self._on_output)

    @property
    def lost(self) -> bool:
        """Whether the process is gone or not to be trusted any more.

        Between cells its socket is asked: it says nothing there while all is well, and the event loop may not yet have
        heard of its end.
        """
        if not self._lost and self._done is None:
            self._on_control()
        return self._lost

    async def run(self, source: bytes, seconds: float) -> Outcome:
        """Run a cell for at most `seconds`, and a while longer only if it had to wait for a CPU."""
        name = os.urandom(NAME_SIZE)
        self._expected = MAGIC + name
        self._capture = Capture(self._limits.output_chars)
        self._stop = Stop.NONE
        self._done = self._loop.create_future()
        if self._lost:
            self._done.set_result(None)
        self._signal(signal.SIGCONT)
        self._set_timers(seconds)
        try:
            await self._send(name + len(source).to_bytes(4, "big") + source)
            status = await self._done
        finally:
            self._done = None
            self._cancel_timers()
        if not self._lost:
            self._signal(signal.SIGSTOP)
        self._drain()
        return Outcome(status, self._stop, self._capture.text())

    def release(self) -> None:
        """End the process and let go of it; it is still to be buried. May be called twice."""
        if self._released:
            return
        self._released = True
        self._lose()
        self._loop.remove_reader(self.process.output)
        self.process.control.close()
        os.close(self.process.output)

    async def _send(self, frame: bytes) -> None:
        try:
            await self._loop.sock_sendall(self.process.control, frame)
        except OSError:
            self._lose()

    def _set_timers(self, seconds: float) -> None:
        pid = self.process.pid
        self._later(seconds, self._check_time, meter.waiting_seconds(pid), seconds)
        if self._limits.cpu_factor < _CPUS:  # else the time limit always comes first
            cpu_limit = self._limits.cpu_factor * seconds
            self._later(cpu_limit / _CPUS, self._check_cpu, meter.cpu_seconds(pid) + cpu_limit)

    def _check_time(self, waited_before: float, seconds: float) -> None:
        waited = meter.waiting_seconds(self.process.pid) - waited_before
        extra = min(waited, 2 * seconds, _MOST_EXTRA)
        if extra > _LEAST_CHECK:
            self._later(extra, self._interrupt, Stop.TIME)
        else:
            self._interrupt(Stop.TIME)

    def _check_cpu(self, limit: float) -> None:
        left = limit - meter.cpu_seconds(self.process.pid)
        if left <= 0:
            self._interrupt(Stop.CPU)
        else:
            self._later(max(left / _CPUS, _LEAST_CHECK), self._check_cpu, limit)

    def _interrupt(self, why: Stop) -> None:
        self._cancel_timers()
        self._stop = why
        self._signal(signal.SIGINT)
        self._signal(signal.SIGCONT)  # a cell may have stopped itself
        self._later(_GRACE, self._lose)

    def _on_control(self) -> None:
        try:
            data = self.process.control.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        fits = len(data) == len(self._expected) + 1 and data.startswith(self._expected)
        if fits and self._done is not None and not self._done.done():
            self._expected = b""
            self._done.set_result(data[-1])
        else:
            self._lose()

    def _on_output(self) -> None:
        try:
            data = os.read(self.process.output, _CHUNK)
        except BlockingIOError:
            return
        if not data:
            self._loop.remove_reader(self.process.output)
            return
        self._capture.add(data)
        if self._capture.size > self._limits.output_bytes and self._done is not None and not self._stop:
            self._interrupt(Stop.OUTPUT)

    def _drain(self) -> None:
        for _ in range(_DRAIN_ROUNDS):
            try:
                data = os.read(self.process.output, _CHUNK)
            except BlockingIOError:
                return
            if not data:
                return
            self._capture.add(data)

    def _lose(self) -> None:
        if not self._lost:
            self._lost = True
            self._loop.remove_reader(self.process.control)
            self._signal(signal.SIGKILL)
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _signal(self, number: signal.Signals) -> None:
        # The zygote keeps a dead session as a zombie until told to bury it, so the number is not another's.
        try:
            os.kill(self.process.pid, number)
        except ProcessLookupError:  # the zygote is gone, and its sessions with it
            self._lost = True

    def _later(self, seconds: float, action: object, *arguments: object) -> None:
        self._timers.append(self._loop.call_later(seconds, action, *arguments))  # type: ignore[arg-type]

    def _cancel_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
