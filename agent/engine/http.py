"""The one client of every engine: streams completions from a server that speaks the OpenAI protocol.

Works with vLLM, SGLang and llama.cpp's server; what differs between them is hidden here.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import aiohttp

from agent.engine.base import Chunk, Prompt, SamplingParams
from agent.errors import EngineError

_CONNECT_SECONDS = 10.0
_LONGEST_LINE = 1 << 22
_BROKEN = (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError)


class HttpEngine:
    """An engine behind a base URL such as `http://127.0.0.1:8000/v1`.

    `model` is the name that the server knows; None takes the first that it lists. A stream that sends nothing for
    `stall_seconds` is broken.
    """

    def __init__(self, base_url: str, *, model: str | None = None, stall_seconds: float = 120.0) -> None:
        self._base_url = base_url.rstrip("/")
        self._model = model
        self._stall_seconds = stall_seconds
        self._client: aiohttp.ClientSession | None = None

    async def ready(self) -> None:
        """Return once the server lists its models; takes the first of them if none was named."""
        try:
            async with self._session().get(f"{self._base_url}/models") as response:
                if response.status != 200:
                    raise EngineError(await self._refusal(response))
                listing = await response.json(content_type=None)
                names = [str(model["id"]) for model in listing["data"]]
        except (*_BROKEN, KeyError, TypeError) as error:
            raise EngineError(
                f"no engine answers at {self._base_url}: {_brief(error)}; start a server there or give another --url"
            ) from error
        if self._model is None:
            if not names:
                raise EngineError(f"the engine at {self._base_url} serves no model; start it with one")
            self._model = names[0]

    async def warm(self, prompt: str) -> None:
        """Nothing to do: servers behind a URL share prefixes by themselves."""

    async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
        """Continue the prompt; closing the generator drops the connection, at which servers stop computing."""
        received: list[str] = []
        finished = False
        counted = 0
        try:
            async with self._session().post(
                f"{self._base_url}/completions", json=self._body(prompt, params)
            ) as response:
                if response.status != 200:
                    raise EngineError(await self._refusal(response))
                async for event in _events(response.content):
                    chunk = _chunk(event, counted)
                    counted += chunk.tokens
                    finished = finished or chunk.finish is not None
                    received.append(chunk.text)
                    yield chunk
        except _BROKEN as error:
            raise EngineError(
                f"the stream from {self._base_url} broke: {_brief(error)}", received="".join(received)
            ) from error
        if not finished:
            raise EngineError(f"the stream from {self._base_url} ended early", received="".join(received))

    async def close(self) -> None:
        """Close all connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    def _session(self) -> aiohttp.ClientSession:
        if self._client is None:
            self._client = aiohttp.ClientSession(
                # A connection for each stream: llama.cpp's server breaks one that is used again after a stream.
                connector=aiohttp.TCPConnector(limit=0, force_close=True),
                read_bufsize=_LONGEST_LINE,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=self._stall_seconds),
            )
        return self._client

    def _body(self, prompt: Prompt, params: SamplingParams) -> dict[str, Any]:
        body: dict[str, Any] = {
            "prompt": prompt if isinstance(prompt, str) else list(prompt),
            "max_tokens": params.max_tokens,
            "temperature": params.temperature,
            "top_p": params.top_p,
            "top_k": params.top_k,
            "min_p": params.min_p,
            "presence_penalty": params.presence_penalty,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        optional = {"model": self._model, "seed": params.seed, "stop": list(params.stop) or None}
        return body | {key: value for key, value in optional.items() if value is not None}

    async def _refusal(self, response: aiohttp.ClientResponse) -> str:
        text = (await response.content.read(500)).decode("utf-8", "replace").strip()
        return f"the engine at {self._base_url} answered {response.status}: {text}"


def api_url(url: str) -> str:
    """The base of the completions protocol at a server's URL.

    >>> api_url("http://127.0.0.1:8000/")
    'http://127.0.0.1:8000/v1'
    """
    base = url.rstrip("/")
    return base if base.endswith("/v1") else f"{base}/v1"


async def _events(content: aiohttp.StreamReader) -> AsyncIterator[dict[str, Any]]:
    """The JSON objects of a stream of server-sent events. Raises ValueError on anything else."""
    async for line in content:
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            return
        event = json.loads(data)
        if not isinstance(event, dict):
            raise ValueError(f"unexpected event {data[:80]!r}")
        if "error" in event:
            raise ValueError(f"the server says {str(event['error'])[:300]}")
        yield event


def _chunk(event: dict[str, Any], counted: int) -> Chunk:
    """What one event adds, given the tokens counted before it.

    A piece of text counts as one token until the server says how many there were in all.
    """
    choices = event.get("choices") or [{}]
    try:
        text = choices[0].get("text") or ""
        finish = choices[0].get("finish_reason")
        usage = event.get("usage")
        tokens = int(usage["completion_tokens"]) - counted if usage else int(bool(text))
        if not text.isascii():
            text = text.encode("utf-8", "replace").decode("utf-8")
    except (AttributeError, KeyError, TypeError, IndexError) as error:
        raise ValueError(f"unexpected event {str(event)[:120]}") from error
    return Chunk(text, tokens, finish)


def _brief(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:300]
