"""Pools of processes, which no session can start, as pools of threads: they give the same results, and say so."""

from __future__ import annotations

import concurrent.futures
import concurrent.futures.process
import multiprocessing
import multiprocessing.context
import os
import threading
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures.thread import ThreadPoolExecutor
from multiprocessing.pool import Pool, ThreadPool
from multiprocessing.queues import SimpleQueue
from typing import Any

_MOST = 8  # workers: more gain nothing, and a session may have only so many threads


class ThreadExecutor(ThreadPoolExecutor):
    """What `concurrent.futures.ProcessPoolExecutor` is in a session."""

    def __init__(
        self,
        max_workers: int | None = None,
        mp_context: object = None,
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
        *,
        max_tasks_per_child: int | None = None,
    ) -> None:
        _warn()
        super().__init__(_workers(max_workers), initializer=initializer, initargs=initargs)


class _Threads:
    """What such a pool needs of a context of processes, without the locks that these would share."""

    Lock = staticmethod(threading.Lock)

    def SimpleQueue(self) -> SimpleQueue[object]:  # noqa: N802 - the library's name
        return SimpleQueue(ctx=self)


class _ThreadPool(ThreadPool):
    def __init__(self, processes: int, initializer: Callable[..., object] | None, initargs: Iterable[Any]) -> None:
        Pool.__init__(self, processes, initializer, initargs, context=_Threads())


def thread_pool(
    processes: int | None = None,
    initializer: Callable[..., object] | None = None,
    initargs: Iterable[Any] = (),
    maxtasksperchild: int | None = None,
) -> ThreadPool:
    """What `multiprocessing.Pool` is in a session."""
    _warn()
    return _ThreadPool(_workers(processes), initializer, initargs)


def replace_pools() -> None:
    """Put them where the standard library has the pools of processes."""
    replacements: tuple[tuple[object, str, object], ...] = (
        (multiprocessing, "Pool", thread_pool),
        (multiprocessing.context.BaseContext, "Pool", lambda _, *args, **kwargs: thread_pool(*args, **kwargs)),
        (concurrent.futures, "ProcessPoolExecutor", ThreadExecutor),
        (concurrent.futures.process, "ProcessPoolExecutor", ThreadExecutor),
    )
    for place, name, pool in replacements:
        setattr(place, name, pool)


def _workers(wanted: int | None) -> int:
    return min(wanted or os.cpu_count() or 1, _MOST)


def _warn() -> None:
    warnings.warn("no processes can be started here: this pool works in threads", RuntimeWarning, stacklevel=3)
