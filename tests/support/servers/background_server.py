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
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        urls.append(f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}")
        started.set()
        try:
            await stop.wait()
        finally:
            await site.stop()
            await steps()  # a connection that has just come becomes one of the runner's
            connections = [each.transport for each in runner.server.connections] if runner.server else []
            await runner.cleanup()
            for transport in filter(None, connections):  # one of TLS would wait for the client to close it, too
                transport.abort()
            await steps()

    async def steps() -> None:
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
