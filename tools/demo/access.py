"""Who may use the page, and whose question is whose."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "aimo-visitor"


class VisitorCookie:
    """Gives each browser that opens the page a secret of its own, which scripts cannot read, to know it again."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, with the cookie where the page is opened without one."""
        opens = scope["type"] == "http" and scope["path"] == "/" and not visitor_of(Headers(scope=scope))
        if not opens:
            await self._app(scope, receive, send)
            return
        secure = "; Secure" if scope["scheme"] == "https" else ""
        cookie = f"{COOKIE}={secrets.token_urlsafe(32)}; HttpOnly; Path=/; SameSite=Lax{secure}"

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"set-cookie", cookie.encode())]}
            await send(message)

        await self._app(scope, receive, send_with_cookie)


def visitor_of(headers: Mapping[str, str]) -> str:
    """The browser's secret in the headers of its request, "" where it has none, whatever cookies others have set."""
    return cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
