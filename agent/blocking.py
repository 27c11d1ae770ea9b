"""Runs a coroutine from code that is not asynchronous, also where an event loop is running already."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")
_Started = tuple[asyncio.AbstractEventLoop, "asyncio.Task[Any] | None"]


def run_blocking(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run the coroutine to its end, on a thread of its own where this one runs an event loop, as a notebook's does.

    An interrupt cancels the coroutine, and is raised when that has ended.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(main())
    with ThreadPoolExecutor(1, "agent") as pool:
        started: Future[_Started] = Future()

        async def tracked() -> T:
            started.set_result((asyncio.get_running_loop(), asyncio.current_task()))
            return await main()

        result = pool.submit(lambda: asyncio.run(tracked()))
        try:
            return result.result()
        except KeyboardInterrupt:
            _cancel(*started.result())
            raise


def _cancel(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any] | None) -> None:
    with suppress(RuntimeError):  # it has ended, and its loop is closed
        if task is not None:
            loop.call_soon_threadsafe(task.cancel)
