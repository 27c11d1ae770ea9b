"""Fault injection: a proxy that spoils the streams between the agent and a real server, by a list of faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from enum import StrEnum

import aiohttp
from aiohttp import web

from tests.support.servers.background_server import served


class Fault(StrEnum):
    """What happens to one completion."""

    NONE = "none"
    SLOW = "slow"  # every piece comes late
    BREAK = "break"  # the connection drops in mid-stream
    GARBAGE = "garbage"  # a piece that is no event comes in mid-stream
    TORN = "torn"  # an event is cut in the middle, then the stream ends
    REFUSED = "refused"  # HTTP 500
    SILENCE = "silence"  # nothing comes any more, but the connection stays


class FaultyProxy:
    """Passes requests on to the server at `target`; the nth completion meets the nth fault, later ones none.

    Faults in mid-stream strike after `after` events.
    """

    def __init__(self, target: str, faults: Iterable[Fault], *, after: int = 5) -> None:
        self._target = target
        self._faults = list(faults)
        self._after = after
        self.met: list[Fault] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        fault = Fault.NONE
        if request.path.endswith("/completions"):
            fault = self._faults.pop(0) if self._faults else Fault.NONE
            self.met.append(fault)
        if fault is Fault.REFUSED:
            return web.Response(status=500, text="injected")
        async with (
            aiohttp.ClientSession() as client,
            client.request(request.method, f"{self._target}{request.path}", data=await request.read()) as answer,
        ):
            response = web.StreamResponse(status=answer.status)
            await response.prepare(request)
            async for count, piece in _counted(answer.content):
                if not await self._pass_on(request, response, piece, fault if count >= self._after else Fault.NONE):
                    break
            return response

    async def _pass_on(self, request: web.Request, response: web.StreamResponse, piece: bytes, fault: Fault) -> bool:
        """Whether the stream goes on."""
        if fault is Fault.SLOW:
            await asyncio.sleep(0.02)
        if fault is Fault.SILENCE:
            await asyncio.sleep(600)
        if fault is Fault.GARBAGE:
            await response.write(b"data: \xff\xfe{{{\n\n")
            return False
        if fault is Fault.TORN:
            await response.write(piece[: len(piece) // 2])
            return False
        if fault is Fault.BREAK:
            assert request.transport is not None
            request.transport.abort()
            return False
        await response.write(piece)
        return True


async def _counted(content: aiohttp.StreamReader) -> AsyncIterator[tuple[int, bytes]]:
    count = 0
    async for line in content:
        yield count, line
        count += line.startswith(b"data:")


@asynccontextmanager
async def faulty(target: str, faults: Iterable[Fault], *, after: int = 5) -> AsyncIterator[tuple[str, FaultyProxy]]:
    """The proxy's URL and the proxy."""
    proxy = FaultyProxy(target, faults, after=after)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", proxy.handle)
    async with served(app) as url:
        yield url, proxy
