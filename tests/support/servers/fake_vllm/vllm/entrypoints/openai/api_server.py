"""Stands in for vLLM's server where only its process and its wire matter: started by the same command, quick to start.

What it does is read from the JSON file that FAKE_VLLM names: `starts` is a list of behaviours, one for each start (the
last one stays): "serve", "oom", "crash", "deaf", or "serve N", which serves N completions and then falls silent.
It streams the `reply`, continuing after whatever part of it ends the prompt; `pause` is in seconds between
tokens, `at_a_time` the streams that are computed at a time, `max_model_len` its context if not the flag's.
A token of a reply is up to three bytes, so that tokens end in the middle of characters and of fences. A prompt that
holds one of the texts in `replies` gets that one's reply. A server without the flags of `sound_with` (values by the
names that vLLM's parser gives them) answers everything with the `ruined` reply. What vLLM refuses is refused, flags
included. Every start and every completion is appended to `log` as a JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.support.servers.vllm_rules import add_flags, check_speculation, pieces_of, refusal, unauthorized

PLAN: dict[str, Any] = json.loads(Path(os.environ["FAKE_VLLM"]).read_text())
TOKEN_BYTES = 3
KEY: web.AppKey[str | None] = web.AppKey("key")


def token(piece: bytes) -> int:
    return int.from_bytes(b"\1" + piece, "big")


def spelled(ids: list[int]) -> bytes:
    return b"".join(id_.to_bytes(8, "big").lstrip(b"\0")[1:] for id_ in ids)


def log(**entry: object) -> None:
    with Path(PLAN["log"]).open("a") as file:
        file.write(json.dumps(entry) + "\n")


def starts() -> int:
    path = Path(PLAN["log"])
    lines = path.read_text().splitlines() if path.exists() else []
    return sum("flags" in json.loads(line) for line in lines)


class Server:
    def __init__(self, behaviour: str, model: str, max_model_len: int, *, sound: bool) -> None:
        self.model = model
        self.sound = sound
        self.max_model_len = max_model_len
        self.serves = int(behaviour.split()[1]) if " " in behaviour else None
        self.deaf = behaviour == "deaf"
        self.speculates = False
        self.drafts = 0
        self.well = True
        self.turns = asyncio.Semaphore(PLAN.get("at_a_time", 1_000))

    async def health(self, request: web.Request) -> web.Response:
        return web.Response(status=200 if self.well else 503)

    async def version(self, request: web.Request) -> web.Response:
        return web.json_response({"version": "0.32.0"})

    async def metrics(self, request: web.Request) -> web.Response:
        """With speculation each token of a reply counts as a draft of two tokens, one of them accepted."""
        counts = {"drafts": 1, "draft_tokens": 2, "accepted_tokens": 1} if self.speculates else {}
        lines = [f'vllm:spec_decode_num_{name}_total{{engine="0"}} {n * self.drafts}' for name, n in counts.items()]
        return web.Response(text="".join(f"{line}\n" for line in lines))

    async def models(self, request: web.Request) -> web.Response:
        if self.deaf:
            return web.Response(status=503)
        card = {"id": self.model, "object": "model", "max_model_len": self.max_model_len}
        return web.json_response({"object": "list", "data": [card]})

    async def tokenize(self, request: web.Request) -> web.Response:
        text = (await request.json())["prompt"]
        ids = token_ids_of(text)
        return web.json_response({"count": len(ids), "max_model_len": self.max_model_len, "tokens": ids})

    async def completions(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        refused = refusal(body, model=self.model, max_model_len=self.max_model_len)
        if refused is not None:
            log(refused=refused[1]["error"]["message"])
            return web.json_response(refused[1], status=refused[0])
        prompt = body["prompt"]
        ids = token_ids_of(prompt) if isinstance(prompt, str) else prompt
        written = prompt.encode() if isinstance(prompt, str) else spelled(prompt)
        log(ids=not isinstance(prompt, str), prompt=written.decode("utf-8", "replace"), body=body)
        response = web.StreamResponse()
        await response.prepare(request)
        if self.serves == 0:
            await asyncio.sleep(600)
        if self.serves is not None:
            self.serves -= 1
        async with self.turns:
            await self.stream(response, written, ids, int(body["max_tokens"]))
        return response

    def reply_to(self, prompt: str) -> str:
        if not self.sound:
            return str(PLAN["ruined"])
        replies: dict[str, str] = PLAN.get("replies", {})
        return next((reply for text, reply in replies.items() if text in prompt), str(PLAN["reply"]))

    async def stream(self, response: web.StreamResponse, written: bytes, ids: list[int], most: int) -> None:
        reply = self.reply_to(written.decode("utf-8", "replace")).encode()
        at = max((n for n in range(len(reply) + 1) if written.endswith(reply[:n])), default=0)
        rest = reply[at:]
        pieces = [rest[n : n + TOKEN_BYTES] for n in range(0, len(rest), TOKEN_BYTES)][:most]
        pending = b""
        for count, piece in enumerate(pieces):
            await asyncio.sleep(PLAN.get("pause", 0.0))
            pending += piece
            self.drafts += 1
            try:
                text, pending = pending.decode(), b""
            except UnicodeDecodeError:
                text = ""
            await self.say(response, text, piece, ids if count == 0 else None)
        length = len(pieces) == most
        usage = {"prompt_tokens": len(ids), "completion_tokens": len(pieces)}
        await self.event(response, {"choices": [{"text": "", "finish_reason": "length" if length else "stop"}]})
        await self.event(response, {"choices": [], "usage": usage | {"prompt_tokens_details": {"cached_tokens": 7}}})
        await response.write(b"data: [DONE]\n\n")

    async def say(self, response: web.StreamResponse, text: str, piece: bytes, prompt: list[int] | None) -> None:
        logprobs = {"tokens": [piece.decode("utf-8", "replace")], "token_logprobs": [-0.5]}
        choice = {"text": text, "token_ids": [token(piece)], "logprobs": logprobs, "prompt_token_ids": prompt}
        await self.event(response, {"choices": [choice]})

    async def event(self, response: web.StreamResponse, event: dict[str, Any]) -> None:
        await response.write(f"data: {json.dumps(event)}\n\n".encode())


def token_ids_of(text: str) -> list[int]:
    return [token(piece.encode()) for piece in pieces_of(text)]


@web.middleware
async def guard(request: web.Request, handler: Any) -> web.StreamResponse:
    if request.path.startswith("/v1") and unauthorized(request.headers, request.app[KEY]):
        return web.json_response({"error": "Unauthorized"}, status=401)
    response: web.StreamResponse = await handler(request)
    return response


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--port", type=int)
    parser.add_argument("--served-model-name", default="model")
    parser.add_argument("--max-model-len", type=int, default=1 << 20)
    parser.add_argument("--api-key")
    add_flags(parser)
    arguments = parser.parse_args()
    check_speculation(arguments.speculative_config or {})
    behaviours = PLAN.get("starts", ["serve"])
    behaviour = behaviours[min(starts(), len(behaviours) - 1)]
    worker = subprocess.Popen(["sleep", "600"])  # as the real one's workers
    orphan = subprocess.run(["sh", "-c", "sleep 600 >/dev/null & echo $!"], stdout=subprocess.PIPE, check=True)
    log(flags=sys.argv[1:], pids=[os.getpid(), worker.pid, int(orphan.stdout)])
    if behaviour == "oom":
        sys.exit("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.")
    if behaviour == "crash":
        raise ValueError("the model has no layers")
    sound = all(getattr(arguments, name) == value for name, value in PLAN.get("sound_with", {}).items())
    most = PLAN.get("max_model_len", arguments.max_model_len)
    server = Server(behaviour, arguments.served_model_name, most, sound=sound)
    server.speculates = bool(arguments.speculative_config)
    app = web.Application(middlewares=[guard])
    app[KEY] = arguments.api_key or os.environ.get("VLLM_API_KEY")
    app.router.add_get("/health", server.health)
    app.router.add_get("/version", server.version)
    app.router.add_get("/metrics", server.metrics)
    app.router.add_get("/v1/models", server.models)
    app.router.add_post("/tokenize", server.tokenize)
    app.router.add_post("/v1/completions", server.completions)
    web.run_app(app, host="127.0.0.1", port=arguments.port, print=None)


if __name__ == "__main__":
    main()
