"""A server that answers with exactly the bytes it is given, for tests of the client."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web

from tests.support.servers.background_server import background_server

RESET = "reset"  # in an answer's pieces: the connection is dropped here
SILENCE = "silence"  # nothing more comes, but the connection stays

Piece = bytes | str | float
"""Bytes to send, RESET, SILENCE, or seconds to wait."""


@dataclass
class Page:
    """What is answered at a path."""

    pieces: Sequence[Piece] = ()
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class RawServer:
    """Answers with the page of a path, or 404; `asked` are the requests that came, `keys` their authorizations."""

    pages: dict[str, Page]
    url: str = ""
    asked: list[str] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    came: threading.Event = field(default_factory=threading.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        self.keys.append(request.headers.get("Authorization"))
        self.bodies.append(await request.text())
        self.came.set()
        page = self.pages.get(request.path, Page([b"no such page"], 404))
        if page.pieces[:1] == [SILENCE]:
            await asyncio.sleep(60)
        response = web.StreamResponse(status=page.status, headers=page.headers)
        await response.prepare(request)
        for piece in page.pieces:
            if piece == RESET:
                assert request.transport is not None
                request.transport.close()
                return response
            if isinstance(piece, bytes):
                await response.write(piece)
            else:
                await asyncio.sleep(60 if isinstance(piece, str) else piece)
        return response


@contextmanager
def serving_raw(pages: dict[str, Page]) -> Iterator[RawServer]:
    """Serve the pages."""
    server = RawServer(pages)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    with background_server(app) as server.url:
        yield server
