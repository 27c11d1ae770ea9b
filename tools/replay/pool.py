"""Spread jobs over the cores of this machine or over a Ray cluster, with a progress bar."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import track

from agent.errors import InputError

Job = TypeVar("Job")
Result = TypeVar("Result")


def run_jobs(
    function: Callable[[Job], Result], jobs: Sequence[Job], *, processes: int | None, ray: bool, console: Console
) -> list[Result]:
    """Return the function's results in the order of the jobs, wherever they ran.

    `processes` None stands for all cores; with 1 everything runs in this process. Raises InputError if Ray is
    requested and not installed.
    """
    workers = min(len(jobs), processes or os.cpu_count() or 1)
    if ray:
        results = _over_ray(function, jobs)
    elif workers <= 1:
        results = (function(job) for job in jobs)
    else:
        results = _over_processes(function, jobs, workers)
    quiet = not console.is_terminal
    return list(
        track(results, total=len(jobs), console=console, description="replaying", transient=True, disable=quiet)
    )


def _over_processes(function: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> Iterator[Result]:
    # A plain fork would copy the thread that shows the progress; the fork server has no such thread.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("forkserver"), initializer=_begin_worker)
    try:
        yield from pool.map(function, jobs)
    finally:
        pool.shutdown(cancel_futures=True)  # after an interrupt the rest is not needed


def _begin_worker() -> None:
    """Collect garbage rarely, and never over modules, as it takes a seventh of a replay; end with the command.

    A command that is killed cannot end its workers, which would wait for jobs for ever.
    """
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    threading.Thread(target=_end_with_command, daemon=True).start()


def _end_with_command() -> None:
    command = parent_process()
    assert command is not None
    command.join()
    os._exit(1)


def _over_ray(function: Callable[[Job], Result], jobs: Sequence[Job]) -> Iterator[Result]:
    try:
        import ray
    except ImportError:
        raise InputError("--ray needs Ray: pip install 'aimo-agent[ray]', or leave the flag out") from None
    started = not ray.is_initialized()
    if started:
        ray.init(log_to_driver=False)
    try:
        remote: Any = ray.remote(function)
        for reference in [remote.remote(job) for job in jobs]:
            result: Result = ray.get(reference)
            yield result
    finally:
        if started:
            ray.shutdown()
