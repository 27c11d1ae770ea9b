"""A real HTTP server of the chat protocol alone, which refuses what servers refuse that have nothing else."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from agent.problems.reader import check_problems
from tests.support.servers.background_server import background_server
from tests.support.servers.vllm_rules import unauthorized

Body = dict[str, Any]
Refuse = Callable[[Body], tuple[int, Any] | None]
DROP = "drop"
"""In place of an event: the server drops the connection here."""
KNOWN = ("messages", "model", "temperature", "top_p", "max_tokens", "stream", "stream_options", "tools")
"""The fields that every server knows."""
PEM = Path(__file__).with_name("self_signed.pem")
"""A certificate that no authority has signed, with its key."""


def said(text: str) -> Body:
    """The delta of a piece of the answer."""
    return {"content": text}


def called(code: str, pieces: int = 3, number: int = 0) -> list[Body]:
    """The deltas of a call of Python: its id and name, then its arguments in so many pieces."""
    arguments = json.dumps({"code": code})
    step = -(-len(arguments) // pieces)
    first = {"index": number, "id": f"chatcmpl-tool-{number}", "type": "function"}
    deltas: list[Body] = [{"tool_calls": [first | {"function": {"name": "python", "arguments": ""}}]}]
    for start in range(0, len(arguments), step):
        piece = {"index": number, "function": {"arguments": arguments[start : start + step]}}
        deltas.append({"tool_calls": [piece]})
    return deltas


def with_tools(body: Body) -> list[Body]:
    """Compute first, then answer with what came back."""
    last = body["messages"][-1]
    if last["role"] == "tool":
        return [{"reasoning_content": "So"}, said(f"It is \\boxed{{{last['content']}}}.")]
    return [{"reasoning_content": "Let me "}, {"reasoning_content": "compute."}, *called("print(6 * 7)")]


@dataclass
class ChatServer:
    """Streams the deltas `reply(body)`, `pause` seconds between them.

    `refuse` says what it refuses: the status and the body of its answer. Of more than `most` requests at a time it
    answers 429 to the others, which it counts in `busy`, with a `Retry-After`; no reply of more than a token begins
    before one of these.
    `usage` is whether it reports one, `owner` whom it lists as its model's, `completions` the status of its answer to a
    request for a completion, with the `words` of its body.
    """

    reply: Callable[[Body], Sequence[Body | str]]
    pause: float = 0.0
    refuse: Refuse = lambda body: None
    most: int | None = None
    usage: bool = True
    key: str | None = None
    owner: str = "someone"
    completions: int = 404
    words: str = "404 page not found"
    url: str = ""
    bodies: list[Body] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    running: int = 0
    refused: int = 0
    busy: int = 0
    _was_busy: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        if unauthorized(request.headers, self.key):
            return web.json_response({"error": {"message": "Incorrect API key provided"}}, status=401)
        if request.path == "/v1/models":
            return web.json_response({"object": "list", "data": [{"id": "served", "owned_by": self.owner}]})
        if request.path == "/v1/chat/completions":
            return await self._chat(request)
        if request.path == "/v1/completions":
            return web.Response(status=self.completions, text=self.words)
        return web.Response(status=404, text="404 page not found")

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        refusal = protocol_refusal(body) or self.refuse(body)
        if refusal is not None:
            self.refused += 1
            return web.json_response(refusal[1], status=refusal[0])
        if self.most is not None and self.running >= self.most:
            self.busy += 1
            self._was_busy.set()
            error = {"error": {"message": "Too many concurrent requests", "type": "rate_limit_error"}}
            return web.json_response(error, status=429, headers={"Retry-After": "0.05"})
        known = _known(body)
        if known is None:
            self.bodies.append(body)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        self.running += 1
        try:
            if self.most is not None and body.get("max_tokens") != 1:  # such a request only sees whether all works
                await self._was_busy.wait()
            await self._stream([said(known)] if known else self.reply(body), request, response)
        finally:
            self.running -= 1
        return response

    async def _stream(self, deltas: Sequence[Body | str], request: web.Request, response: web.StreamResponse) -> None:
        await _send(
            response, {"choices": [{"index": 0, "delta": {"role": "assistant", "content": None}}], "usage": None}
        )
        calls = any("tool_calls" in delta for delta in deltas)
        for delta in deltas:
            await asyncio.sleep(self.pause)
            if isinstance(delta, str):
                assert request.transport is not None
                request.transport.close()
                return
            await _send(response, delta if "error" in delta else {"choices": [{"index": 0, "delta": delta}]})
        reason = "tool_calls" if calls else "stop"
        await _send(response, {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        if self.usage:
            await _send(response, {"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": len(deltas) + 1}})
        await response.write(b"data: [DONE]\n\n")


def protocol_refusal(body: Body) -> tuple[int, Any] | None:
    """What every server refuses: messages without an order, results without a call, arguments that are no JSON."""
    waiting: list[str] = []
    for message in body["messages"]:
        role = message.get("role")
        if role not in ("system", "user", "assistant", "tool") or not _is_text(message):
            return _bad(f"messages: invalid role {role!r} or content")
        if role == "tool" and waiting[:1] != [message.get("tool_call_id")]:
            return _bad("messages with role 'tool' must be a response to a preceding message with 'tool_calls'")
        if role != "tool" and waiting:
            return _bad("An assistant message with 'tool_calls' must be followed by tool messages")
        waiting = [] if role == "tool" else [call["id"] for call in message.get("tool_calls", [])]
        for call in message.get("tool_calls", []):
            if not (len(call["id"]) == 9 and call["id"].isalnum()):
                return _bad(f"Tool call id was {call['id']} but must be a-z, A-Z, 0-9, with a length of 9.")
            try:
                json.loads(call["function"]["arguments"])
            except ValueError:
                return _bad("messages: the arguments of a call are no JSON")
    return _bad("messages: the last call has no result") if waiting or not body["messages"] else None


def _is_text(message: Body) -> bool:
    """Whether a message has a text, or only calls."""
    return isinstance(message.get("content"), str) or (message.get("content") is None and "tool_calls" in message)


def _bad(message: str) -> tuple[int, Any]:
    return 400, {"error": {"message": message, "type": "invalid_request_error", "param": "messages"}}


def _known(body: Body) -> str | None:
    """The answer to a problem of the check, None to any other."""
    asked = "".join(message["content"] or "" for message in body["messages"])
    known = next((problem for problem in check_problems() if problem.text in asked), None)
    return f"\\boxed{{{known.answer}}}" if known else None


async def _send(response: web.StreamResponse, event: Body) -> None:
    await response.write(f"data: {json.dumps(event)}\n\n".encode())


@contextmanager
def serving_chat(server: ChatServer, *, tls: ssl.SSLContext | None = None) -> Iterator[ChatServer]:
    """Serve it, over HTTPS where `tls` is given; its `url` says where."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    with background_server(app, tls=tls) as server.url:
        yield server
