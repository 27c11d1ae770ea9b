"""A share of the CPU for each session, not for each thread.

The kernel shares the CPU between threads. Of a session that has had more than its share, all threads but the
first are put behind those of everybody else (SCHED_IDLE), which needs no privilege; the first keeps its place, so
a session with many threads weighs little more than one with a single thread, and threads of later cells start
afresh. Where new threads keep coming, or are very many, the first one follows, and with it whatever it starts.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Collection, Mapping

from agent.sandbox.inside.layers.layers import Layers

_SPANS = (2, 10)  # looks over which use is measured: a busy host may leave sessions very little to be compared
_FACTOR, _SLACK = 1.25, 3  # times its share, and ticks beyond that: what a session may have
_ACTIVE = 1  # ticks that show that a session has work to do
_PATIENCE = 5  # looks in a row that find new threads
_MOST_BEHIND = 16  # threads, which together then weigh half of one that is not behind


class Shares:
    """What each session, known by its process id, uses. The shares are those of what all of them get together."""

    def __init__(self) -> None:
        self._looks: deque[Mapping[int, int]] = deque(maxlen=max(_SPANS) + 1)
        self._strikes: dict[int, int] = {}

    def greedy(self, ticks: Mapping[int, int], runnable: Collection[int]) -> set[int]:
        """Sessions that had more than their share of late, to be asked at each look.

        `ticks` is each one's CPU time so far; `runnable` are those that have or want a CPU at this moment.
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

    def put_behind(self, layers: Layers, slot: int, pid: int) -> None:
        """Let the threads of a greedy session run when nobody else wants to; all or all but the first."""
        with contextlib.suppress(OSError), layers.as_user(slot):  # it may have ended
            directory = layers.open_proc(f"{pid}/task")
            try:
                threads = [int(name) for name in os.listdir(directory)]  # noqa: PTH208 - it has no path here
            finally:
                os.close(directory)
            whole = self._strikes.get(pid, 0) >= _PATIENCE or len(threads) > _MOST_BEHIND
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
