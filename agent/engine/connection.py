"""HTTP requests to an engine's server: API key, proxy, redirects, and error responses as typed errors."""

from __future__ import annotations

import asyncio
import json
import os
import re
import ssl
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp

from agent.engine.server_errors import response_error
from agent.errors import EngineError, EngineUnavailableError, RequestRefusedError

TRANSPORT_ERRORS = (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError)
"""What a request can raise besides an EngineError."""

_CONNECT_SECONDS = 10.0
_ERROR_BODY_SECONDS = 10.0  # to read the body of an error response
_MAX_ERROR_BYTES = 1 << 16
_MAX_PAGE_BYTES = 64 << 20
_MAX_REDIRECTS = 3
_WITHOUT_BODY = (204, 205)
_KEPT_METHOD = (307, 308)
_KEY_FRAGMENT = 6  # consecutive characters of the key that are redacted
_TRUST_VARIABLE = "SSL_CERT_FILE"  # read by OpenSSL, in place of the system's authorities
_UNKNOWN_ISSUER = range(18, 22)  # OpenSSL's codes: self-signed, or of an authority that is not known here
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

_Send = Callable[[Awaitable[aiohttp.ClientResponse]], Awaitable[aiohttp.ClientResponse]]


async def _unwatched(sent: Awaitable[aiohttp.ClientResponse]) -> aiohttp.ClientResponse:
    return await sent


class ServerConnection:
    """Sends requests to the server at a base URL, each over a connection of its own.

    The `api_key` is sent to this server only, and is redacted in whatever is quoted from its replies. `proxied`
    requests go through the environment's proxy for the server's host, if there is one.
    """

    def __init__(self, base_url: str, *, api_key: str | None = None, proxied: bool = False) -> None:
        self._url = base_url.rstrip("/")
        self.shown = _without_password(self._url)  # the URL in messages
        self._key = api_key
        self._fragments = _fragments(api_key or "")
        self._proxied = proxied
        self._client: aiohttp.ClientSession | None = None

    @property
    def root(self) -> str:
        """The server's URL without the API version."""
        return self._url.removesuffix("/v1")

    @asynccontextmanager
    async def open(
        self, method: str, url: str, body: dict[str, Any] | None = None, *, send: _Send = _unwatched
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open a successful response with a body; `send` awaits it.

        The `url` is absolute or a path below the base URL. Raises an EngineError for any other response, and one of
        TRANSPORT_ERRORS if there is none.
        """
        target = self._url + url if url.startswith("/") else url
        for _ in range(_MAX_REDIRECTS):
            response = await send(self._session().request(method, target, **self._options(target, body)))
            onward = self._redirect(response, target)
            if onward is None:
                break
            response.close()
            target = onward
        async with response:
            if not 200 <= response.status < 300 or response.status in _WITHOUT_BODY:
                raise await self._response_error(response)
            yield response

    async def page(self, method: str, url: str, body: dict[str, Any] | None = None, *, seconds: float) -> str:
        """Return the text of a response, which must be complete after `seconds`. Raises as `open`."""
        async with asyncio.timeout(seconds), self.open(method, url, body) as response:
            return (await _read(response, _MAX_PAGE_BYTES)).decode("utf-8-sig", "replace")

    async def json(self, method: str, url: str, body: dict[str, Any] | None = None, *, seconds: float) -> Any:
        """Return the JSON value of a response. Raises as `open`, ValueError for invalid JSON."""
        try:
            return json.loads(await self.page(method, url, body, seconds=seconds))
        except RecursionError:
            raise ValueError("its response is nested too deeply") from None

    def unreachable_error(self, error: Exception) -> EngineError:
        """Return the error for a server that did not respond."""
        permanent = (aiohttp.InvalidURL, aiohttp.ClientConnectorCertificateError)
        message = f"no engine answers at {self.shown}: {self.brief(error)}; {self._hint(error)}"
        refused = isinstance(error, permanent) or (isinstance(error, ValueError) and not isinstance(error, OSError))
        return RequestRefusedError(message) if refused else EngineUnavailableError(message)

    def _hint(self, error: Exception) -> str:
        """What to do about a server that did not respond."""
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return _certificate_hint(error.certificate_error)
        if isinstance(error, aiohttp.ClientProxyConnectionError):
            parts = urlsplit(self._url)
            proxy = f"that is the proxy which {parts.scheme}_proxy names"
            return f"{proxy}: correct it, or except {parts.hostname} with no_proxy"
        if isinstance(error, aiohttp.ServerDisconnectedError) and self._url.startswith("http:"):
            return "if the server speaks HTTPS, give its --url with https://, else see its log"
        return "start a server there or give another --url"

    def brief(self, error: Exception) -> str:
        """Return the message of an error, shortened."""
        if isinstance(error, aiohttp.InvalidURL):
            return "that is not the URL of a server"
        if isinstance(error, TimeoutError) and not str(error):
            return "it took too long"
        return self.scrubbed(str(error) or type(error).__name__)[:300]

    def scrubbed(self, text: str) -> str:
        """Return the text with the key redacted, which a server may have quoted, also where only part of it is.

        A short key is redacted where it is a word of its own. Takes time linear in the text.
        """
        if self._key and not self._fragments:
            return re.sub(rf"(?<!\w){re.escape(self._key)}(?!\w)", "[key]", text)
        pieces: list[str] = []
        shown = 0  # the text up to here has been copied or redacted
        for place in range(len(text) - _KEY_FRAGMENT + 1):
            if text[place : place + _KEY_FRAGMENT] in self._fragments:
                if place > shown or not pieces:
                    pieces += (text[shown:place], "[key]")
                shown = place + _KEY_FRAGMENT
        return "".join(pieces) + text[shown:]

    def clean(self, error: EngineError, received: str = "") -> EngineError:
        """Return the error with the text received so far, and with the key redacted in its message."""
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
                # One connection per stream: llama.cpp's server breaks one that is reused after a stream.
                connector=aiohttp.TCPConnector(limit=0, force_close=True, ssl=self._trusted()),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
            )
        return self._client

    def _trusted(self) -> ssl.SSLContext | bool:
        """The certificates that are trusted, by the environment as it is now, not as it was when aiohttp was loaded."""
        return ssl.create_default_context() if self._url.startswith("https:") else True

    def _options(self, target: str, body: dict[str, Any] | None) -> dict[str, Any]:
        """Return the options of a request. aiohttp would read passwords from the environment (.netrc), so we do it."""
        parts = urlsplit(target)
        headers = {"Authorization": f"Bearer {self._key}"} if self._key and not parts.username else {}
        proxy = None
        if self._proxied and parts.hostname not in _LOOPBACK and not urllib.request.proxy_bypass(parts.hostname or ""):
            proxy = _proxy_of(parts.scheme)
        return {"json": body, "headers": headers, "allow_redirects": False, "proxy": proxy}

    def _redirect(self, response: aiohttp.ClientResponse, asked: str) -> str | None:
        """Return the target of a redirect on the same server, None if it is no redirect.

        Raises RequestRefusedError for a redirect to another server.
        """
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

    async def _response_error(self, response: aiohttp.ClientResponse) -> EngineError:
        body = b""
        with suppress(*TRANSPORT_ERRORS):
            async with asyncio.timeout(_ERROR_BODY_SECONDS):
                body = await _read(response, _MAX_ERROR_BYTES)
        text = body.decode("utf-8", "replace")
        error = response_error(self.shown, response.status, text, response.headers)
        if response.status in (401, 403) and self._key is None:
            error = RequestRefusedError(f"{error}; name the environment variable with its key with --api-key-env")
        elif response.status == 401:
            error = RequestRefusedError(f"{error}; check the key in the environment variable that --api-key-env names")
        return self.clean(error)


def _certificate_hint(error: Exception) -> str:
    """What to do about a certificate: one that is of another host, or has expired, is no matter of trust."""
    if getattr(error, "verify_code", None) in _UNKNOWN_ISSUER:
        return _unreadable_authorities() or (
            f"if you trust it, export {_TRUST_VARIABLE} with the path of a PEM file of its certificate or authority, "
            "which then stands in place of the system's authorities"
        )
    return "give a --url with the name that its certificate is made out to, or have that renewed"


def _unreadable_authorities() -> str:
    """What is wrong with the file of certificates that the environment names; "" if nothing, or if it names none."""
    path = os.environ.get(_TRUST_VARIABLE)
    if not path:
        return ""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        fault = "holds no certificate in PEM format"
    except OSError as error:
        fault = f"cannot be read ({error.strerror})"
    else:
        return ""
    return f"{_TRUST_VARIABLE} names {path}, which {fault}: name a PEM file of its certificate or authority"


def _proxy_of(scheme: str) -> str | None:
    """The environment's proxy for URLs of this scheme; one that is given as HOST:PORT is of HTTP, as elsewhere."""
    proxy = urllib.request.getproxies().get(scheme)
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def _fragments(key: str) -> frozenset[str]:
    """Return the fragments of a key that are redacted."""
    return frozenset(key[place : place + _KEY_FRAGMENT] for place in range(len(key) - _KEY_FRAGMENT + 1))


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _without_password(url: str) -> str:
    """Return the URL without user name and password."""
    scheme, slashes, rest = url.rpartition("://")
    host, slash, path = rest.partition("/")
    return scheme + slashes + host.rpartition("@")[2] + slash + path


async def _read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Return the body, up to `most` bytes."""
    pieces: list[bytes] = []
    while most > 0 and (piece := await response.content.read(most)):
        pieces.append(piece)
        most -= len(piece)
    return b"".join(pieces)
