"""Serves an aiohttp application on a free port of this machine, also in a thread with a loop of its own."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from aiohttp import web

_STEPS = 3  # that the loop still takes: a connection that has come, or is closed, is served or ends in the next ones


@asynccontextmanager
async def served(app: web.Application, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Gives the URL; `tls` makes it one of HTTPS."""
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listener, ssl_context=tls).start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        # A connection that asyncio has just accepted when its server closes is never closed, so no more are accepted.
        asyncio.get_running_loop().remove_reader(listener)
        await _steps()
        connections = [each.transport for each in runner.server.connections] if runner.server else []
        await runner.cleanup()
        for transport in filter(None, connections):  # one of TLS would wait for the client to close it, too
            transport.abort()
        await _steps()


async def _steps() -> None:
    for _ in range(_STEPS):
        await asyncio.sleep(0)


@contextmanager
def background_server(app: web.Application, *, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """The same in a thread."""
    loop = asyncio.new_event_loop()
    started = threading.Event()
    stop = asyncio.Event()
    urls: list[str] = []

    async def serve() -> None:
        async with served(app, tls=tls) as url:
            urls.append(url)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(10)
    try:
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
