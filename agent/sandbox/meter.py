"""Measures a process, as far as the system allows: threads, CPU time, and time spent waiting for a CPU."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable

_PROCESS_CLOCK = 2  # the low bits of the number of a process's own clock (see clock_getcpuclockid(3))
_IDLE_SECONDS, _IDLE_SHARE = 0.002, 0.02  # the CPU time of a thread that wakes now and then to do nothing


class Meter:
    """Measures one process through descriptors that stay open until `close`. What cannot be measured counts as 0."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._clock = (~pid << 3) | _PROCESS_CLOCK
        self._schedule = _open(f"/proc/{pid}/schedstat", os.O_RDONLY)
        self._tasks = _open(f"/proc/{pid}/task", os.O_RDONLY | os.O_DIRECTORY)

    def threads(self) -> int:
        """The number of its threads now."""
        if self._tasks < 0:
            return 0
        try:
            return max(0, os.fstat(self._tasks).st_nlink - 2)
        except OSError:
            return 0

    def others(self) -> dict[int, float]:
        """CPU time of each of its threads but the first since that one's start, by the thread's number."""
        found: dict[int, float] = {}
        with contextlib.suppress(OSError):
            for number in map(int, os.listdir(self._tasks) if self._tasks >= 0 else ()):  # noqa: PTH208 - a descriptor
                if number != self._pid:
                    found[number] = self._thread_seconds(number)
        return found

    def _thread_seconds(self, number: int) -> float:
        """CPU time of a thread; infinite where it cannot be measured, so that such a thread never seems idle."""
        descriptor = _open(f"{number}/schedstat", os.O_RDONLY, self._tasks)
        if descriptor < 0:
            return math.inf
        try:
            return int(os.read(descriptor, 100).split()[0]) / 1e9
        except (OSError, IndexError):
            return math.inf
        finally:
            os.close(descriptor)

    def cpu_seconds(self) -> float:
        """CPU time of all its threads since its start."""
        try:
            return time.clock_gettime(self._clock)
        except OSError:
            return 0.0

    def waiting_seconds(self) -> float:
        """Time that its first thread was ready to run but had no CPU."""
        return self._first_thread(1)

    def ended_seconds(self, others: dict[int, float]) -> float:
        """CPU time of its threads that have ended, where these `others` have not."""
        return self.cpu_seconds() - self._first_thread(0) - sum(others.values())

    def _first_thread(self, field: int) -> float:
        if self._schedule < 0:
            return 0.0
        try:
            return int(os.pread(self._schedule, 100, 0).split()[field]) / 1e9
        except (OSError, IndexError):
            return 0.0

    def close(self) -> None:
        """Close the descriptors."""
        for descriptor in (self._schedule, self._tasks):
            if descriptor >= 0:
                os.close(descriptor)
        self._schedule = self._tasks = -1


class CellMeter:
    """What a cell has used since its start, in seconds: wall time, CPU time, and time that it waited for a CPU."""

    def __init__(self, meter: Meter, clock: Callable[[], float]) -> None:
        self._meter, self._clock = meter, clock
        self._started = self._cpu = self._waited = 0.0

    def start(self) -> None:
        """Begin at zero."""
        self._started = self._clock()
        self._cpu, self._waited = self._meter.cpu_seconds(), self._meter.waiting_seconds()

    @property
    def elapsed(self) -> float:
        """Wall time since the start."""
        return self._clock() - self._started

    def read(self) -> tuple[float, float, float]:
        """Return wall time, CPU time, and time spent waiting for a CPU."""
        cpu, waited = self._meter.cpu_seconds() - self._cpu, self._meter.waiting_seconds() - self._waited
        return self.elapsed, cpu, waited

    def worked(self) -> float:
        """Return the wall time without the time spent waiting for a CPU."""
        return max(0.0, self.elapsed - (self._meter.waiting_seconds() - self._waited))


class BackgroundThreads:
    """The threads that a process has now, but for its first, and whether they do anything from now on.

    `may_be_active`: whether they did, as far as is known: they have to be observed while they are still there.
    """

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self.may_be_active = meter.threads() > 1
        if self.may_be_active:
            self._before = meter.others()
            self._ended = meter.ended_seconds(self._before)

    def observe(self, seconds: float) -> None:
        """Check whether one took, or may have taken, more CPU time in these `seconds` than an idle thread.

        Libraries leave such threads behind: tqdm's looks around every ten seconds, those of a pool wait in a queue.
        """
        if not self.may_be_active:
            return
        now = self._meter.others()
        used = [now[number] - before for number, before in self._before.items() if number in now]
        ended = [before for number, before in self._before.items() if number not in now]
        if ended:  # what the cell's own threads took counts, too, if they have ended as well
            used.append(self._meter.ended_seconds(now) - self._ended - sum(ended))
        most = _IDLE_SECONDS + _IDLE_SHARE * seconds
        self.may_be_active = not all(each <= most for each in used)  # what cannot be measured is not a number


def _open(path: str, flags: int, folder: int | None = None) -> int:
    with contextlib.suppress(OSError):
        return os.open(path, flags | os.O_CLOEXEC, dir_fd=folder)
    return -1
