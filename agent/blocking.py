"""Runs coroutines from code that is not asynchronous, also where an event loop is running already."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeVar

_T = TypeVar("_T")


def run_blocking(main: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    """Run the coroutine to its end, on a thread of its own where this one runs an event loop, as a notebook's does.

    An interrupt cancels the coroutine, and is raised when that has ended.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(main())
    with LoopThread() as thread:
        return thread.run(main)


class LoopThread:
    """An event loop on a thread of its own until it is closed; other threads run coroutines on it and wait for them.

    What lives on the loop, such as connections and processes, lives from one call of `run` to the next.
    """

    def __init__(self) -> None:
        started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

        async def hold() -> None:
            closing = asyncio.Event()
            started.set_result((asyncio.get_running_loop(), closing))
            await closing.wait()

        # A daemon: a program that ends without closing it must not wait for it.
        self._thread = threading.Thread(target=lambda: asyncio.run(hold()), name="agent", daemon=True)
        self._thread.start()
        self._loop, self._closing = started.result()

    def __enter__(self) -> LoopThread:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_current(self) -> bool:
        """Whether this is called on the loop's own thread, which cannot wait for itself."""
        return threading.current_thread() is self._thread

    def run(
        self,
        main: Callable[[], Coroutine[Any, Any, _T]],
        *,
        meanwhile: Callable[[], None] = lambda: None,
        every_seconds: float | None = None,
    ) -> _T:
        """Run the coroutine to its end and return its result; call `meanwhile` on this thread while it runs.

        An interrupt, or an error of `meanwhile`, cancels the coroutine, and is raised when that has ended.
        """
        ended: Future[_T] = Future()
        tasks: list[asyncio.Task[None]] = []

        async def tracked() -> None:
            try:
                ended.set_result(await main())
            except BaseException as error:  # noqa: BLE001  # it is raised by the thread that waits
                ended.set_exception(error)

        def begin() -> None:
            task = self._loop.create_task(tracked())
            task.add_done_callback(end_cancelled)
            tasks.append(task)

        def end_cancelled(_: asyncio.Task[None]) -> None:
            if not ended.done():  # it was cancelled before it began
                ended.set_exception(asyncio.CancelledError())

        def cancel() -> None:
            if not ended.done():  # once: a second time would interrupt what it does to end
                self._loop.call_soon_threadsafe(lambda: tasks[0].cancelling() or tasks[0].cancel())

        self._loop.call_soon_threadsafe(begin)
        try:
            try:
                while not wait((ended,), every_seconds).done:
                    meanwhile()
            finally:
                cancel()
        finally:
            cancel()  # a second interrupt may have come before the first had this done
            wait((ended,))
        return ended.result()

    def close(self) -> None:
        """Cancel what still runs, and end the thread. May be called twice."""
        with suppress(RuntimeError):  # its loop is closed already
            self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()
