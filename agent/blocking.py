"""Runs a coroutine from code that is not asynchronous, also where an event loop is running already."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from typing import Any, TypeVar

_T = TypeVar("_T")
_Started = tuple[asyncio.AbstractEventLoop, "asyncio.Task[Any] | None"]


def run_blocking(main: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Run the coroutine to its end, on a thread of its own where this one runs an event loop, as a notebook's does.

    An interrupt cancels the coroutine, and is raised when that has ended.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(main())
    return _run_on_a_thread(main)


def _run_on_a_thread(main: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    started: Future[_Started] = Future()
    result: Future[_T] = Future()

    async def tracked() -> _T:
        started.set_result((asyncio.get_running_loop(), asyncio.current_task()))
        return await main()

    def work() -> None:
        try:
            result.set_result(asyncio.run(tracked()))
        except BaseException as error:  # noqa: BLE001  # it is raised by the thread that waits
            result.set_exception(error)

    ends: tuple[Future[Any], ...] = (started, result)
    thread = threading.Thread(target=work, name="agent")
    try:
        thread.start()
        return result.result()
    except KeyboardInterrupt:
        if thread.ident is not None:
            wait(ends, return_when=FIRST_COMPLETED)
            _cancel(started)
        raise
    finally:
        if thread.ident is not None:
            thread.join()


def _cancel(started: Future[_Started]) -> None:
    if started.done():
        loop, task = started.result()
        with suppress(RuntimeError):  # it has ended meanwhile, and its loop is closed
            if task is not None:
                loop.call_soon_threadsafe(task.cancel)
