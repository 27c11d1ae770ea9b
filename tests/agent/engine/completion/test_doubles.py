"""The servers that stand in for real ones leave nothing open."""

from __future__ import annotations

import asyncio
import gc
import socket
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from tests.support.servers.background_server import served


@pytest.mark.parametrize("turns", range(9))
def test_a_connection_that_comes_while_the_server_closes_is_closed_too(turns: int) -> None:
    """However many turns of the loop it comes later: none is left to the garbage collector, which warns of it."""
    clients: list[socket.socket] = []

    async def connect(url: str) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        address = urlsplit(url)
        with suppress(ConnectionRefusedError):  # it has closed by then
            clients.append(socket.create_connection((address.hostname, address.port)))

    async def main() -> None:
        async with served(web.Application()) as url:
            late = asyncio.create_task(connect(url))
        await late

    asyncio.run(main())
    for client in clients:
        client.close()
    gc.collect()
