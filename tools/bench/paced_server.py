"""A server that plays completions as vLLM streams them: `python -m tools.bench.paced_server STEP_SECONDS`.

It computes nothing, so that what a client costs can be measured beside it. After each step every open stream gets its
next event, with the ids and log-probabilities of its tokens, as vLLM 0.32 writes it.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import zlib
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from aiohttp import web

from agent.journal.journal import read_run

EVENT_TOKENS = {"model": 1, "model-4": 4}
"""The models that it serves, and how many tokens an event of theirs has."""

_TEXTS = Path(__file__).parents[1] / "recordings" / "practice-text"
_TOKEN = re.compile(r" ?[^\W\d_]+|\d|[^\w\s]{1,3}\n*|\s+|\w")
_SPREAD = 7  # how far apart in the recording two pieces of one text are, which then is no loop
_PROMPT_IDS = 200


class PacedServer:
    """Plays streams, a step of all of them at a time."""

    def __init__(self, step_seconds: float) -> None:
        self._step = step_seconds
        self._next = asyncio.Event()
        self._begun = 0

    async def serve(self) -> None:
        """Print the port, then serve until standard input closes."""
        app = web.Application()
        app.router.add_get("/version", _version)
        app.router.add_get("/v1/models", _models)
        app.router.add_post("/v1/completions", self._complete)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        print(runner.addresses[0][1], flush=True)
        pacing = asyncio.create_task(self._pace())
        await asyncio.to_thread(sys.stdin.read)
        pacing.cancel()

    async def _pace(self) -> None:
        while True:
            await asyncio.sleep(self._step)
            self._next.set()
            self._next = asyncio.Event()

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        """Play the next stream."""
        body = await request.json()
        number = self._begun
        self._begun += 1
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        for event in stream_events(number, body["max_tokens"], EVENT_TOKENS[body["model"]]):
            await self._next.wait()
            await response.write(event)
        return response


def stream_events(number: int, tokens: int, each: int) -> Iterator[bytes]:
    """The events of the stream of this number: so many tokens, `each` of them an event, and its end."""
    pieces = tokens_of_text(number, tokens)
    for start in range(0, tokens, each):
        chosen = pieces[start : start + each]
        yield _event(_choice(chosen, first=start == 0, last=start + each >= tokens))
    usage = {"prompt_tokens": _PROMPT_IDS, "total_tokens": _PROMPT_IDS + tokens, "completion_tokens": tokens}
    yield _event({"choices": [], "usage": usage | {"prompt_tokens_details": {"cached_tokens": 128}}})
    yield b"data: [DONE]\n\n"


def tokens_of_text(number: int, count: int) -> Sequence[str]:
    """So many pieces of recorded reasoning, such as tokens are; other ones for each number."""
    texts = _texts()
    tokens: list[str] = []
    at = number
    while len(tokens) < count:
        tokens += _TOKEN.findall(texts[at % len(texts)])
        at += _SPREAD
    return tokens[:count]


@cache
def _texts() -> Sequence[str]:
    """One recorded text without code for each problem."""
    texts = {sample.problem_id: sample.text for sample in read_run(_TEXTS).samples if "```" not in sample.text}
    return tuple(texts.values())


def _choice(pieces: Sequence[str], *, first: bool, last: bool) -> dict[str, Any]:
    ids = [zlib.crc32(piece.encode()) % 150_000 for piece in pieces]
    logprobs = {
        "text_offset": [0] * len(pieces),
        "token_logprobs": [-(number % 997) / 1009 for number in ids],
        "tokens": list(pieces),
        "top_logprobs": [{piece: -(number % 997) / 1009} for piece, number in zip(pieces, ids, strict=True)],
    }
    choice = {
        "index": 0,
        "text": "".join(pieces),
        "logprobs": logprobs,
        "finish_reason": "length" if last else None,
        "stop_reason": None,
        "token_ids": ids,
        "prompt_token_ids": list(range(_PROMPT_IDS)) if first else None,
    }
    return {"choices": [choice], "usage": None}


def _event(fields: dict[str, Any]) -> bytes:
    head = {"id": "cmpl-8c1f2f1d0a9b4c53a1f0", "object": "text_completion", "created": 1_790_000_000, "model": "model"}
    return f"data: {json.dumps(head | fields, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


async def _version(request: web.Request) -> web.Response:
    return web.json_response({"version": "0.32.0"})


async def _models(request: web.Request) -> web.Response:
    return web.json_response({"data": [{"id": name, "max_model_len": 1 << 20} for name in EVENT_TOKENS]})


if __name__ == "__main__":
    asyncio.run(PacedServer(float(sys.argv[1])).serve())
