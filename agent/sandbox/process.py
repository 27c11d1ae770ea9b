"""One live session process as the controller sees it: cells go in, their ends and their output come out."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

from agent.sandbox.base import Limits
from agent.sandbox.capture import Capture, is_empty
from agent.sandbox.client import ProcessHandle
from agent.sandbox.meter import BackgroundThreads, CellMeter, Meter
from agent.sandbox.outcome import CellOutcome, Stop
from agent.sandbox.protocol import BROKEN, TOKEN_SIZE, CellRequest, SessionDecoder, encode_cell

_GRACE_SECONDS = 1.0  # between the interrupt and the kill
_BEGIN_SECONDS = 2.0  # in which a session that had a CPU has begun its cell
_MAX_BEGIN_SECONDS = 4.0  # the same for one that had to wait for a CPU
_MAX_EXTRA_SECONDS = 4.5  # beyond its limit and the grace, after which a cell that is not starved is ended
_STARVED_SHARE = 1 / 4  # a share of a CPU: a cell that had less since its start, and has a long limit, gets more time
_LONG_SECONDS = 10.0  # from this on a limit is long
_MAX_FACTOR = 3.0  # times its limit, after which any cell is ended
_MIN_CHECK_SECONDS, _MAX_CHECK_SECONDS = 0.05, 1.0
_STREAMING_AFTER_SECONDS = 0.02  # after its start, from which on a cell's output is read as it comes
_PAUSE_AFTER_SECONDS = 0.03  # after a cell, from which on its process is stopped
_CHUNK = 1 << 16
_ANSWER = 64  # more than a session may say at a time
_DRAIN_ROUNDS = 64
_CPUS = os.cpu_count() or 1


class SessionProcess:
    """Runs one cell at a time in a process that is stopped in between. Nothing that it sends is trusted.

    Whatever the process does with its descriptors, each cell ends by a timer at the latest.
    """

    def __init__(self, handle: ProcessHandle, limits: Limits) -> None:
        self.handle = handle
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._meter = Meter(handle.pid)
        self._decoder = SessionDecoder()
        self._capture = Capture(limits.output_chars)
        self._done: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._action: Callable[[], None] | None = None  # what the timer is set to do, and when, if it is set
        self._due = 0.0
        self._unsent: bytes | memoryview = b""
        self._stop = Stop.NONE
        self._lost = self._released = self._flowing = self._paused = False
        self._background = BackgroundThreads(self._meter)
        self._usage = CellMeter(self._meter, self._loop.time)
        self._seconds = self._held_up = 0.0
        self._loop.add_reader(handle.control, self._on_control)
        if handle.life >= 0:
            self._loop.add_reader(handle.life, self._on_exit)

    @property
    def lost(self) -> bool:
        """Whether the process has exited or can no longer be trusted.

        Between cells its socket is asked: it says nothing there while all is well, and the event loop may not yet have
        heard of its end.
        """
        if not self._lost and self._done is None:
            self._on_control()
        return self._lost

    async def run(self, source: bytes, seconds: float, seed: int) -> CellOutcome:
        """Run a cell for at most `seconds`, and a while longer only if it had to wait for a CPU."""
        self._capture = Capture(self._limits.output_chars)
        self._stop, self._seconds = Stop.NONE, seconds
        self._done = self._loop.create_future()
        try:
            self._start(source, seed)
            await self._done
        finally:
            self._done = None
            self._set_flowing(on=False)
            self._set_timer(_PAUSE_AFTER_SECONDS, self._pause)
        if self._unsent:  # it answered a request that it cannot have read
            self._lose()
        decoder = self._decoder
        if decoder.status is None and not self._released:
            self._take_output()
        elif self._background.may_be_active and not self._lost and decoder.status != BROKEN:
            self._observe_background()  # not where it is broken: a thread can break a session in no time
        text, crowded = self._capture.text(), self._background.may_be_active
        if not self._lost:
            self._background = BackgroundThreads(self._meter)
            if self._background.may_be_active:
                self._set_timer(0.0, self._pause)  # threads left behind burn no CPU time
        return CellOutcome(decoder.status, self._stop, text, decoder.begun, crowded, decoder.broken)

    def worked(self) -> float:
        """Seconds that the last cell took, not counting those that it waited for a CPU; call it right after its end."""
        return self._usage.worked()

    def release(self) -> None:
        """Kill the process and close its descriptors; the zygote still has to reap it. May be called twice."""
        if self._released:
            return
        self._released = True
        self._lose()
        self._set_flowing(on=False)
        self._meter.close()
        self.handle.close()
        if self._timer is not None:
            self._timer.cancel()

    def _start(self, source: bytes, seed: int) -> None:
        self._held_up = 0.0  # seconds in which the session had not begun the cell
        self._usage.start()
        if self._lost:
            self._decoder = SessionDecoder()  # which knows nothing of this cell
            self._end()
            return
        token = os.urandom(TOKEN_SIZE)
        self._decoder.expect(token)
        self._unsent = encode_cell(CellRequest(token, seed, source))
        self._send()
        if self._unsent and not self._lost:
            self._loop.add_writer(self.handle.control, self._on_writable)
        if self._paused or self._background.may_be_active:  # threads may have stopped the process, too
            self._continue()
        self._set_timer(min(_STREAMING_AFTER_SECONDS, self._seconds), self._check)

    def _send(self) -> None:
        try:
            sent = self.handle.control.send(self._unsent)
            self._unsent = memoryview(self._unsent)[sent:] if sent < len(self._unsent) else b""
        except BlockingIOError:
            return
        except OSError:
            self._lose()

    def _on_writable(self) -> None:
        self._send()
        if not self._unsent:
            self._loop.remove_writer(self.handle.control)

    def _check(self) -> None:
        """Check what the cell has used, and check again when it might have used too much."""
        self._take_output()
        self._set_flowing(on=True)
        if not self._decoder.begun:
            self._wait_for_beginning()
            return
        elapsed, cpu, waited = self._usage.read()
        left = _allowed(self._seconds, elapsed, cpu, max(waited, self._held_up)) - elapsed
        cpu_left = (self._limits.cpu_factor * self._seconds - cpu) / _CPUS
        if left <= 0:
            self._interrupt(Stop.TIME)
        elif cpu_left <= 0:
            self._interrupt(Stop.CPU)
        else:
            self._set_timer(max(min(left, cpu_left, _MAX_CHECK_SECONDS), _MIN_CHECK_SECONDS), self._check)

    def _wait_for_beginning(self) -> None:
        elapsed, cpu, waited = self._usage.read()
        if elapsed >= _allowed_to_begin(cpu, waited):
            self._lose()
        else:
            self._held_up = elapsed
            self._continue()  # a timer that an earlier cell has left behind may have stopped it
            self._set_timer(_MIN_CHECK_SECONDS, self._check)

    def _observe_background(self) -> None:
        if self._stop is not Stop.OUTPUT:  # a thread needs next to no CPU time to write all that may be written
            self._background.observe(self._usage.elapsed)

    def _interrupt(self, why: Stop) -> None:
        self._stop = why
        self._observe_background()
        self._signal(signal.SIGINT)
        self._continue()  # a cell may have stopped itself
        self._set_timer(_GRACE_SECONDS, self._lose)

    def _on_control(self) -> None:
        try:
            data = self.handle.control.recv(_ANSWER)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._take_output()
        self._decoder.feed(data)
        if not data and self._is_open() and self.handle.life >= 0:
            self._loop.remove_reader(self.handle.control)
            self._set_timer(_MIN_CHECK_SECONDS, self._lose)  # it is about to exit, and its status may say why
        elif not data or self._decoder.broken:
            self._lose()
        elif self._decoder.status is not None:
            self._end()

    def _on_exit(self) -> None:
        self._on_control()  # what it sent last
        self._lose()

    def _on_output(self) -> None:
        if self._take_chunk() is None:
            self._set_flowing(on=False)

    def _take_output(self) -> None:
        for _ in range(_DRAIN_ROUNDS):
            if not self._take_chunk() or is_empty(self.handle.output):  # a short one may be one of several packets
                return

    def _take_chunk(self) -> int | None:
        """Take what the output pipe holds, at most so much at a time; return how much that was, None at its end."""
        try:
            data = os.read(self.handle.output, _CHUNK)
        except BlockingIOError:
            return 0
        self._capture.add(self._decoder.printed(data))
        if self._capture.size > self._limits.output_bytes and self._is_open() and not self._stop:
            self._interrupt(Stop.OUTPUT)
        return len(data) or None

    def _set_flowing(self, *, on: bool) -> None:
        if on and not self._flowing:
            self._loop.add_reader(self.handle.output, self._on_output)
        elif self._flowing and not on:
            self._loop.remove_reader(self.handle.output)
        self._flowing = on

    def _pause(self) -> None:
        if not self._lost:
            self._paused = True
            self._signal(signal.SIGSTOP)

    def _continue(self) -> None:
        self._paused = False
        self._signal(signal.SIGCONT)

    def _lose(self) -> None:
        if not self._lost:
            self._lost = True
            self._loop.remove_reader(self.handle.control)
            self._loop.remove_writer(self.handle.control)
            if self.handle.life >= 0:
                self._loop.remove_reader(self.handle.life)
            self._signal(signal.SIGKILL)
        self._end()

    def _is_open(self) -> bool:
        return self._done is not None and not self._done.done()

    def _end(self) -> None:
        self._action = None
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _signal(self, number: signal.Signals) -> None:
        # The zygote keeps a dead session as a zombie until told to reap it, so the number is not another's.
        try:
            os.kill(self.handle.pid, number)
        except ProcessLookupError:  # the zygote is gone, and its sessions with it
            self._lose()

    def _set_timer(self, seconds: float, action: Callable[[], None]) -> None:
        """Set the one timer; what it was set to before is cancelled.

        Small cells set it far more often than it fires, so the event loop's timer is kept where that fires sooner.
        """
        self._due, self._action = self._loop.time() + seconds, action
        if self._timer is not None and self._timer.when() > self._due:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(self._due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._action is None:
            return
        if self._loop.time() < self._due:
            self._timer = self._loop.call_at(self._due, self._on_timer)
        else:
            self._action()


def _allowed(seconds: float, elapsed: float, used: float, waited: float) -> float:
    """How long a cell may take that has this limit, has used so much CPU time, and has waited so long for a CPU.

    What it waited is added to the limit: up to 4.5 s (or twice the limit, if that is less), but up to twice the limit
    where that is at least 10 s and the cell had less than a quarter of a CPU in the `elapsed` seconds since its start.
    """
    if used >= seconds:
        return seconds
    starved = seconds >= _LONG_SECONDS and used < _STARVED_SHARE * elapsed
    most = (_MAX_FACTOR - 1) * seconds
    return seconds + min(waited, most if starved else min(most, _MAX_EXTRA_SECONDS))


def _allowed_to_begin(used: float, waited: float) -> float:
    """How long a session may take to begin a cell after which its process has used and waited so long."""
    return _BEGIN_SECONDS if used >= _BEGIN_SECONDS else min(_BEGIN_SECONDS + waited, _MAX_BEGIN_SECONDS)
