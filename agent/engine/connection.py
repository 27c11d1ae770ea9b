"""The HTTP beneath the client of an engine: its key, its proxy, its redirects, and its refusals as typed errors."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp

from agent.engine.refusals import refusal
from agent.errors import EngineError, EngineUnavailableError, RequestRefusedError

FAULTS = (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError)
"""All that a request can raise beside errors of the engine."""

_CONNECT_SECONDS = 10.0
_REFUSAL_SECONDS = 10.0  # for the text of a refusal
_REFUSAL_BYTES = 1 << 16
_PAGE_BYTES = 64 << 20
_REDIRECTS = 3
_WITHOUT_BODY = (204, 205)
_KEPT_METHOD = (307, 308)
_KNOWN_BY = 6  # characters in a row of a key that show that it is quoted
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

Send = Callable[[Awaitable[aiohttp.ClientResponse]], Awaitable[aiohttp.ClientResponse]]


async def _at_once(sent: Awaitable[aiohttp.ClientResponse]) -> aiohttp.ClientResponse:
    return await sent


class Connection:
    """Requests to the server at a base URL; each has a connection of its own.

    The `api_key` goes to this server alone, and is taken out of whatever is quoted from its replies. `proxied` requests
    go through the proxy that the environment names for the server's host, if it does.
    """

    def __init__(self, base_url: str, *, api_key: str | None = None, proxied: bool = False) -> None:
        self._url = base_url.rstrip("/")
        self.shown = _without_password(self._url)  # for messages
        self._key = api_key
        self._runs = _runs(api_key or "")
        self._proxied = proxied
        self._client: aiohttp.ClientSession | None = None

    @property
    def root(self) -> str:
        """The server's URL without the protocol's version."""
        return self._url.removesuffix("/v1")

    @asynccontextmanager
    async def open(
        self, method: str, url: str, body: dict[str, Any] | None = None, *, send: Send = _at_once
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The server's answer, of success and with a body; `send` waits for it.

        The `url` is a path behind the base URL, or whole. Raises an EngineError for any other answer, and one
        of FAULTS where there is none.
        """
        target = self._url + url if url.startswith("/") else url
        for _ in range(_REDIRECTS):
            response = await send(self._session().request(method, target, **self._options(target, body)))
            onward = self._redirect(response, target)
            if onward is None:
                break
            response.close()
            target = onward
        async with response:
            if not 200 <= response.status < 300 or response.status in _WITHOUT_BODY:
                raise await self._refusal(response)
            yield response

    async def page(self, method: str, url: str, body: dict[str, Any] | None = None, *, seconds: float) -> str:
        """The text of an answer that has to be there after `seconds`. Raises as `open`."""
        async with asyncio.timeout(seconds), self.open(method, url, body) as response:
            return (await _read(response, _PAGE_BYTES)).decode("utf-8-sig", "replace")

    async def json(self, method: str, url: str, body: dict[str, Any] | None = None, *, seconds: float) -> Any:
        """The JSON value of an answer. Raises as `open`, ValueError for what is no JSON."""
        try:
            return json.loads(await self.page(method, url, body, seconds=seconds))
        except RecursionError:
            raise ValueError("its answer is nested too deep") from None

    def unreached(self, error: Exception) -> EngineError:
        """The error where the server gave no answer."""
        for_good = (aiohttp.InvalidURL, aiohttp.ClientConnectorCertificateError)
        hint = "start a server there or give another --url"
        message = f"no engine answers at {self.shown}: {self.brief(error)}; {hint}"
        refused = isinstance(error, for_good) or (isinstance(error, ValueError) and not isinstance(error, OSError))
        return RequestRefusedError(message) if refused else EngineUnavailableError(message)

    def brief(self, error: Exception) -> str:
        """What an error says, in a few words."""
        if isinstance(error, aiohttp.InvalidURL):
            return "that is no URL of a server"
        if isinstance(error, TimeoutError) and not str(error):
            return "it took too long"
        return self.scrubbed(str(error) or type(error).__name__)[:300]

    def scrubbed(self, text: str) -> str:
        """The text without the key, which a server may have quoted, and without any part of it that tells something.

        A short key is taken out where it stands as a word of its own. Takes time in proportion to the text.
        """
        if self._key and not self._runs:
            return re.sub(rf"(?<!\w){re.escape(self._key)}(?!\w)", "[key]", text)
        pieces: list[str] = []
        shown = 0  # so far the text has been looked at, and what is of the key left out
        for place in range(len(text) - _KNOWN_BY + 1):
            if text[place : place + _KNOWN_BY] in self._runs:
                if place > shown or not pieces:
                    pieces += (text[shown:place], "[key]")
                shown = place + _KNOWN_BY
        return "".join(pieces) + text[shown:]

    def clean(self, error: EngineError, received: str = "") -> EngineError:
        """The error with what was received, and without the key in its message."""
        error.received = received
        error.args = (self.scrubbed(str(error)),)
        return error

    async def close(self) -> None:
        """Close all connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _session(self) -> aiohttp.ClientSession:
        if self._client is None:
            self._client = aiohttp.ClientSession(
                # A connection for each stream: llama.cpp's server breaks one that is used again after a stream.
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
            )
        return self._client

    def _options(self, target: str, body: dict[str, Any] | None) -> dict[str, Any]:
        """How a request is sent. The environment is not left to aiohttp, which would take passwords from it too."""
        parts = urlsplit(target)
        headers = {"Authorization": f"Bearer {self._key}"} if self._key and not parts.username else {}
        proxy = None
        if self._proxied and parts.hostname not in _LOOPBACK and not urllib.request.proxy_bypass(parts.hostname or ""):
            proxy = urllib.request.getproxies().get(parts.scheme)
        return {"json": body, "headers": headers, "allow_redirects": False, "proxy": proxy}

    def _redirect(self, response: aiohttp.ClientResponse, asked: str) -> str | None:
        """Where on the same server the answer sends us, None if it does not. Raises if it is to another server."""
        place = response.headers.get("Location")
        if not 300 <= response.status < 400 or not place:
            return None
        onward = urljoin(asked, place)
        if _origin(onward) != _origin(asked):
            response.close()
            raise RequestRefusedError(
                f"the engine at {self.shown} answered {response.status}: it has moved to "
                f"{_without_password(onward.partition('?')[0])}; give that server's --url if you trust it"
            )
        return onward if response.method == "GET" or response.status in _KEPT_METHOD else None

    async def _refusal(self, response: aiohttp.ClientResponse) -> EngineError:
        body = b""
        with suppress(*FAULTS):
            async with asyncio.timeout(_REFUSAL_SECONDS):
                body = await _read(response, _REFUSAL_BYTES)
        text = body.decode("utf-8", "replace")
        error = refusal(self.shown, response.status, text, response.headers)
        if response.status in (401, 403) and self._key is None:
            error = RequestRefusedError(f"{error}; name the environment variable with its key by --api-key-env")
        return self.clean(error)


def _runs(key: str) -> frozenset[str]:
    """All that shows that a key is quoted."""
    return frozenset(key[place : place + _KNOWN_BY] for place in range(len(key) - _KNOWN_BY + 1))


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _without_password(url: str) -> str:
    """The URL without what stands before the host for its user."""
    scheme, slashes, rest = url.rpartition("://")
    host, slash, path = rest.partition("/")
    return scheme + slashes + host.rpartition("@")[2] + slash + path


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body, up to so many bytes."""
    pieces: list[bytes] = []
    while most > 0 and (piece := await response.content.read(most)):
        pieces.append(piece)
        most -= len(piece)
    return b"".join(pieces)
