"""A real HTTP server of the completions protocol that streams scripted replies, for tests of clients and commands."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from agent.problems.reader import check_problems
from tests.support.servers.background_server import background_server
from tests.support.servers.vllm_rules import refusal, unauthorized

BREAK = "\0"  # in a reply: the server drops the connection here
GARBAGE = "\1"  # in a reply: the server sends something that is no event
SILENCE = "\2"  # in a reply: the server sends nothing more

Refuse = Callable[[dict[str, Any]], tuple[int, Any] | None]


@dataclass
class ScriptedServer:
    """Streams `reply(body)` word by word, `pause` seconds between words; takes any model, else refuses as vLLM.

    `refuse` says what else it refuses: the status and the body of its answer. `card` is what it lists of its model
    beside the name, `told` what else it answers, by path.
    """

    reply: Callable[[dict[str, Any]], str]
    pause: float = 0.0
    status: int = 200
    key: str | None = None
    max_model_len: int | None = None
    refuse: Refuse = lambda body: None
    card: dict[str, Any] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)
    sound: bool = True
    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    dropped: threading.Event = field(default_factory=threading.Event)

    async def models(self, request: web.Request) -> web.Response:
        if unauthorized(request.headers, self.key):
            return web.json_response({"error": "Unauthorized"}, status=401)
        card = {"id": "scripted"} | self.card | ({"max_model_len": self.max_model_len} if self.max_model_len else {})
        return web.json_response({"data": [card]})

    async def information(self, request: web.Request) -> web.Response:
        if unauthorized(request.headers, self.key):
            return web.json_response({"error": "Unauthorized"}, status=401)
        return web.json_response(self.told[request.path])

    async def completions(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        known = self._known(body)
        if known is None:
            self.bodies.append(body)
        if unauthorized(request.headers, self.key):
            return web.json_response({"error": "Unauthorized"}, status=401)
        most = self.max_model_len or 1 << 20
        refused = self.refuse(body) or refusal(body, model=body.get("model"), max_model_len=most)
        if refused is not None:
            return web.json_response(refused[1], status=refused[0])
        if self.status != 200:
            return web.Response(status=self.status, text="scripted refusal")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            await self._stream(self.reply(body) if known is None else known, request, response)
        except (ConnectionError, asyncio.CancelledError):
            self.dropped.set()
            raise
        return response

    def _known(self, body: dict[str, Any]) -> str | None:
        """The answer to a problem of the check, and to what tries the server; None to any other."""
        if body.get("prompt") == "1 + 1 =":
            return "2"
        asked = next((problem for problem in check_problems() if problem.text in str(body.get("prompt"))), None)
        return f"\\boxed{{{asked.answer}}}" if asked and self.sound else None

    async def _stream(self, reply: str, request: web.Request, response: web.StreamResponse) -> None:
        words = reply.split(" ")
        for count, word in enumerate(words):
            if word.startswith(BREAK):
                assert request.transport is not None
                request.transport.close()
                return
            if word.startswith(SILENCE):
                await asyncio.sleep(30)
            if word.startswith(GARBAGE):
                await response.write(b"data: {garbage\n\n")
                continue
            await asyncio.sleep(self.pause)
            await _send(response, {"choices": [{"text": word if count == 0 else f" {word}", "finish_reason": None}]})
        await _send(response, {"choices": [{"text": "", "finish_reason": "stop"}]})
        await _send(response, {"choices": [], "usage": {"completion_tokens": len(words) + 1}})
        await response.write(b"data: [DONE]\n\n")


async def _send(response: web.StreamResponse, event: dict[str, Any]) -> None:
    await response.write(f"data: {json.dumps(event)}\n\n".encode())


@contextmanager
def serving(server: ScriptedServer) -> Iterator[ScriptedServer]:
    """Serve it; its `url` says where."""
    app = web.Application()
    app.router.add_get("/v1/models", server.models)
    app.router.add_post("/v1/completions", server.completions)
    for path in server.told:
        app.router.add_get(path, server.information)
    with background_server(app) as server.url:
        yield server
