"""A share of the CPU for each session, not for each thread.

The kernel shares the CPU between threads. If a session has used more than its share, all its threads but the first
get idle priority (SCHED_IDLE), which needs no privilege. The first keeps its priority, so a session with many threads
weighs little more than one with a single thread, and threads of later cells start with normal priority. Where new
threads keep coming, or there are very many, the first one gets idle priority too, and so does whatever it starts.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Collection, Mapping

from agent.sandbox.inside.layers.layers import Layers

_SPANS = (2, 10)  # numbers of looks over which use is measured: on a busy host, sessions may get too little to compare
_FACTOR, _SLACK = 1.25, 3  # a session may use this many times its share, and these ticks beyond that
_ACTIVE = 1  # ticks above which a session counts as active
_PATIENCE = 5  # consecutive looks that find new threads
_MOST_IDLE = 16  # idle threads, which together weigh half of one with normal priority


class Shares:
    """CPU use of each session, by its process id. A share is an equal part of what all active sessions use."""

    def __init__(self) -> None:
        self._looks: deque[Mapping[int, int]] = deque(maxlen=max(_SPANS) + 1)
        self._strikes: dict[int, int] = {}

    def greedy(self, ticks: Mapping[int, int], runnable: Collection[int]) -> set[int]:
        """Return the sessions that recently used more than their share; to be called at each look.

        `ticks` is each session's CPU time so far; `runnable` are those that have or want a CPU at this moment.
        """
        self._looks.append(ticks)
        self._strikes = {pid: count for pid, count in self._strikes.items() if pid in ticks}
        return {pid for span in _SPANS for pid in self._greedy(span, runnable)}

    def _greedy(self, span: int, runnable: Collection[int]) -> list[int]:
        before, now = self._looks[max(0, len(self._looks) - 1 - span)], self._looks[-1]
        used = {pid: max(0, count - before.get(pid, 0)) for pid, count in now.items()}
        active = sum(count > _ACTIVE or pid in runnable for pid, count in used.items())
        if active < 2:
            return []
        allowed = _FACTOR * sum(used.values()) / active + _SLACK
        return [pid for pid, count in used.items() if count > allowed]

    def lower_priority(self, layers: Layers, slot: int, pid: int) -> None:
        """Give idle priority to the threads of a greedy session: to all of them, or to all but the first."""
        with contextlib.suppress(OSError), layers.as_user(slot):  # it may have ended
            directory = layers.open_proc(f"{pid}/task")
            try:
                threads = [int(name) for name in os.listdir(directory)]  # noqa: PTH208 - it has no path here
            finally:
                os.close(directory)
            whole = self._strikes.get(pid, 0) >= _PATIENCE or len(threads) > _MOST_IDLE
            changed = [_make_idle(thread) for thread in threads if whole or thread != pid]
            self._strikes[pid] = self._strikes.get(pid, 0) + 1 if any(changed) else 0


def _make_idle(thread: int) -> bool:
    """Give a thread idle priority; return False if it had that or has ended."""
    try:
        if os.sched_getscheduler(thread) == os.SCHED_IDLE:
            return False
        os.sched_setscheduler(thread, os.SCHED_IDLE, os.sched_param(0))
    except ProcessLookupError:
        return False
    return True
