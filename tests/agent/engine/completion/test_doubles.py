"""The servers that stand in for real ones leave nothing open."""

from __future__ import annotations

import asyncio
import gc
import socket
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from tests.support.servers.background_server import served


@pytest.mark.parametrize("turns", range(6))
def test_a_connection_that_comes_while_the_server_closes_is_closed_too(turns: int) -> None:
    """However many turns of the loop before: none is left to the garbage collector, which warns of it."""

    async def main() -> None:
        async with served(web.Application()) as url:
            address = urlsplit(url)
            client = socket.create_connection((address.hostname, address.port))
            for _ in range(turns):
                await asyncio.sleep(0)
        client.close()

    asyncio.run(main())
    gc.collect()
