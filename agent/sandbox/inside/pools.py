"""Replaces pools of processes, which a session cannot start, by pools of threads: same results, and a note says so.

Locks, queues and shared values become those of threads.
"""

from __future__ import annotations

import concurrent.futures
import concurrent.futures.process
import importlib
import multiprocessing
import multiprocessing.context
import os
import queue
import threading
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures.thread import ThreadPoolExecutor
from multiprocessing.pool import Pool, ThreadPool
from multiprocessing.queues import SimpleQueue
from typing import Any

_shared_types: Any = importlib.import_module("multiprocessing.sharedctypes")
_MOST = 8  # workers: more gain nothing, and the threads of a session are limited


class ThreadExecutor(ThreadPoolExecutor):
    """Stands in for `concurrent.futures.ProcessPoolExecutor`."""

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
    """What `Pool` needs of a multiprocessing context, with the locks of threads."""

    Lock = staticmethod(threading.Lock)

    def SimpleQueue(self) -> SimpleQueue[object]:  # noqa: N802 - the library's name
        return SimpleQueue(ctx=self)


class ThreadQueue(queue.Queue[Any]):
    """Stands in for `multiprocessing.Queue` and its variants."""

    def close(self) -> None:
        """Do nothing: no other process holds an end of the queue."""

    join_thread = cancel_join_thread = close


def _init_thread_pool(
    pool: ThreadPool,
    processes: int | None = None,
    initializer: Callable[..., object] | None = None,
    initargs: Iterable[Any] = (),
) -> None:
    Pool.__init__(pool, _workers(processes), initializer, initargs, context=_Threads())


def thread_pool(
    processes: int | None = None,
    initializer: Callable[..., object] | None = None,
    initargs: Iterable[Any] = (),
    maxtasksperchild: int | None = None,
) -> ThreadPool:
    """Stand in for `multiprocessing.Pool`."""
    _warn()
    return ThreadPool(processes, initializer, initargs)


def value(kind: Any, *args: Any, lock: Any = True) -> Any:
    """Stand in for `multiprocessing.Value`."""
    return _shared(_shared_types.typecode_to_type.get(kind, kind)(*args), lock)


def array(kind: Any, size_or_items: Any, *, lock: Any = True) -> Any:
    """Stand in for `multiprocessing.Array`."""
    element = _shared_types.typecode_to_type.get(kind, kind)
    if isinstance(size_or_items, int):
        return _shared((element * size_or_items)(), lock)
    return _shared((element * len(size_or_items))(*size_or_items), lock)


def replace_pools() -> None:
    """Install the replacements in the standard library."""
    replacements: tuple[tuple[object, str, object], ...] = (
        (multiprocessing, "Pool", thread_pool),
        (multiprocessing.context.BaseContext, "Pool", lambda _, *args, **kwargs: thread_pool(*args, **kwargs)),
        (ThreadPool, "__init__", _init_thread_pool),
        (concurrent.futures, "ProcessPoolExecutor", ThreadExecutor),
        (concurrent.futures.process, "ProcessPoolExecutor", ThreadExecutor),
    )
    for place, name, pool in replacements:
        setattr(place, name, pool)
    shared: dict[str, Callable[..., object]] = {
        "Lock": threading.Lock,
        "RLock": threading.RLock,
        "Value": value,
        "Array": array,
        "Queue": ThreadQueue,
        "JoinableQueue": ThreadQueue,
        "SimpleQueue": ThreadQueue,
        "Event": threading.Event,
        "Condition": threading.Condition,
        "Semaphore": threading.Semaphore,
        "BoundedSemaphore": threading.BoundedSemaphore,
        "Barrier": threading.Barrier,
    }
    for name, make in shared.items():
        setattr(multiprocessing, name, make)
        setattr(multiprocessing.context.BaseContext, name, _without_context(make))


def _without_context(make: Callable[..., object]) -> Callable[..., object]:
    return lambda _, *args, **kwargs: make(*args, **kwargs)


def _shared(data: Any, lock: Any) -> Any:
    if lock is False:
        return data
    return _shared_types.synchronized(data, threading.RLock() if lock is True or lock is None else lock)


def _workers(wanted: int | None) -> int:
    return min(wanted or os.cpu_count() or 1, _MOST)


def _warn() -> None:
    warnings.warn("no processes can be started here: this pool works in threads", RuntimeWarning, stacklevel=3)
