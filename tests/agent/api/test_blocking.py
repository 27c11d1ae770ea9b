"""Coroutines run from code that is not asynchronous: results, errors and interrupts, with and without a loop."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from agent.blocking import LoopThread, run_blocking


async def where() -> threading.Thread:
    await asyncio.sleep(0)
    return threading.current_thread()


async def fail() -> None:
    raise KeyError("of the coroutine")


def test_without_a_loop_the_same_thread_runs_it() -> None:
    assert run_blocking(where) is threading.current_thread()


async def test_where_a_loop_runs_another_thread_does_and_has_ended() -> None:
    thread = run_blocking(where)
    assert thread is not threading.current_thread()
    assert not thread.is_alive()


def test_an_error_is_raised_where_it_was_called() -> None:
    with pytest.raises(KeyError, match="of the coroutine"):
        run_blocking(fail)


async def test_an_error_of_another_thread_is_raised_where_it_was_called() -> None:
    with pytest.raises(KeyError, match="of the coroutine"):
        run_blocking(fail)


def test_an_interrupt_of_a_notebook_ends_the_coroutine_first() -> None:
    """A notebook's loop has no handler of its own: an interrupt is raised where the thread is waited for."""
    cleaned: list[float] = []

    async def solve() -> None:
        main = threading.main_thread().ident
        assert main is not None
        signal.pthread_kill(main, signal.SIGINT)
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            cleaned.append(time.monotonic())

    async def cell() -> None:
        with pytest.raises(KeyboardInterrupt):
            run_blocking(solve)
        assert cleaned and cleaned[0] <= time.monotonic()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background begins deaf to it
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(cell())
    finally:
        loop.close()
        signal.signal(signal.SIGINT, before)


def test_a_second_interrupt_does_not_keep_the_coroutine_from_being_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    async def get_loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    async def solve() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            ended.append("cleaned up")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with LoopThread() as thread:
        loop = thread.run(get_loop)
        real = loop.call_soon_threadsafe
        calls: Iterator[Callable[..., object]] = iter([real, interrupt, real])  # begin, cancel, cancel again
        monkeypatch.setattr(loop, "call_soon_threadsafe", lambda callback: next(calls)(callback))
        with pytest.raises(KeyboardInterrupt):
            thread.run(solve, meanwhile=interrupt, every_seconds=0.01)
        assert ended == ["cleaned up"]
        monkeypatch.undo()
