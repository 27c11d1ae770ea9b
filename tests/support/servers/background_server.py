"""Serves an aiohttp application on a free port of this machine, in a thread with a loop of its own."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

_STEPS = 3  # that the loop still takes: a connection that is closed ends in the next ones


@contextmanager
def background_server(app: web.Application, *, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Gives the URL; `tls` makes it one of HTTPS."""
    loop = asyncio.new_event_loop()
    started = threading.Event()
    stop = asyncio.Event()
    urls: list[str] = []

    async def serve() -> None:
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        urls.append(f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}")
        started.set()
        try:
            await stop.wait()
        finally:
            await runner.cleanup()
            for _ in range(_STEPS):
                await asyncio.sleep(0)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(10)
    try:
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
