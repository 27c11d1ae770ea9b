"""A share of the CPU for each session, not for each thread.

The kernel shares the CPU between threads. Of a session that has had more than its share, all threads but the
first are put behind those of everybody else (SCHED_IDLE), which needs no privilege; the first keeps its place, so
a session with many threads weighs little more than one with a single thread, and threads of later cells start
afresh. Where new threads keep coming, the first one follows, and with it whatever it starts.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Collection, Mapping

from agent.sandbox.inside.layers import Layers

_LOOKS = 3  # between the first and the last of them its use is measured
_FACTOR, _SLACK = 1.25, 0.1  # times its share, and CPUs beyond that: what a session may have
_ACTIVE = 0.05  # CPUs that show that a session has work to do
_PATIENCE = 5  # looks in a row that find new threads
_TICK = 1 / os.sysconf("SC_CLK_TCK")


class Shares:
    """What each session, known by its process id, uses. The shares are those of what all of them get together."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, dict[int, int]]] = deque(maxlen=_LOOKS)
        self._strikes: dict[int, int] = {}

    def greedy(self, now: float, ticks: Mapping[int, int], runnable: Collection[int]) -> list[int]:
        """Sessions that had more than their share of late.

        `ticks` is each one's CPU time so far; `runnable` are those that have or want a CPU at this moment.
        """
        self._looks.append((now, dict(ticks)))
        self._strikes = {pid: count for pid, count in self._strikes.items() if pid in ticks}
        before, had = self._looks[0]
        if now <= before:
            return []
        used = {pid: max(0, count - had.get(pid, 0)) * _TICK / (now - before) for pid, count in ticks.items()}
        active = sum(cpus > _ACTIVE or pid in runnable for pid, cpus in used.items())
        if active < 2:
            return []
        share = sum(used.values()) / active
        return [pid for pid, cpus in used.items() if cpus > _FACTOR * share + _SLACK]

    def put_behind(self, layers: Layers, slot: int, pid: int) -> None:
        """Let the threads of a greedy session run when nobody else wants to; all or all but the first."""
        whole = self._strikes.get(pid, 0) >= _PATIENCE
        with contextlib.suppress(OSError), layers.as_user(slot):  # it may have ended
            directory = layers.open_proc(f"{pid}/task")
            try:
                threads = [int(name) for name in os.listdir(directory)]
            finally:
                os.close(directory)
            behind = [_put_behind(thread) for thread in threads if whole or thread != pid]
            self._strikes[pid] = self._strikes.get(pid, 0) + 1 if any(behind) else 0


def _put_behind(thread: int) -> bool:
    """Whether that was still to be done."""
    try:
        if os.sched_getscheduler(thread) == os.SCHED_IDLE:
            return False
        os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))
    except ProcessLookupError:
        return False
    return True
