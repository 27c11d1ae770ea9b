"""The one client of every engine: streams completions from a server that speaks the OpenAI protocol.

Works with vLLM, SGLang and llama.cpp's server; what differs between them is hidden here.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import aiohttp

from agent.engine.base import Chunk, Prompt, SamplingParams
from agent.engine.wire import chunk as read_chunk
from agent.engine.wire import events
from agent.errors import EngineError, EngineUnavailableError, RequestRefusedError, StreamBrokenError

_CONNECT_SECONDS = 10.0
_LONGEST_LINE = 1 << 22
_BROKEN = (aiohttp.ClientError, asyncio.TimeoutError, OSError, ValueError)
_TRY_AGAIN = (408, 429)  # refusals that may pass; the other ones below 500 do not
# Versions of vLLM from which on a request may have these.
_REPETITION_DETECTION = (0, 17)
_THINKING_BUDGET = (0, 20)
# A tail of 512 tokens or more that is one cycle: twelve dozens of zeros in a matrix are none. Any period up to 32 has a
# multiple among these sizes; the server looks at each of them for every token, so they are few.
_LOOP = {"min_pattern_size": 128, "max_pattern_size": 160, "min_count": 4}


class HttpEngine:
    """An engine behind a base URL such as `http://127.0.0.1:8000/v1`.

    `model` is the name that the server knows; None takes the first that it lists. A stream that sends nothing for
    `stall_seconds` is broken. `thinking_budget` says that the server was started with a reasoning parser, without
    which it refuses a limit on the thinking.
    """

    def __init__(
        self,
        base_url: str,
        *,
        model: str | None = None,
        stall_seconds: float = 120.0,
        thinking_budget: bool = False,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._model = model
        self._listed: tuple[str, ...] = ()
        self._stall_seconds = stall_seconds
        self._thinking_budget = thinking_budget
        self._vllm: tuple[int, ...] = ()  # version of the server if it is vLLM
        self._client: aiohttp.ClientSession | None = None

    async def ready(self) -> None:
        """Return once the server lists its models; takes the first of them if none was named."""
        try:
            async with self._session().get(f"{self._base_url}/models") as response:
                if response.status != 200:
                    raise await self._refusal(response)
                listing = await response.json(content_type=None)
                names = [str(model["id"]) for model in listing["data"]]
        except (*_BROKEN, KeyError, TypeError) as error:
            raise EngineUnavailableError(
                f"no engine answers at {self._base_url}: {_brief(error)}; start a server there or give another --url"
            ) from error
        self._listed = tuple(names)
        if self._model is None:
            if not names:
                raise RequestRefusedError(f"the engine at {self._base_url} serves no model; start it with one")
            self._model = names[0]
        self._vllm = await self._version()

    @property
    def model(self) -> str | None:
        """The model that is asked for; None where none was named and the server has not been asked yet."""
        return self._model

    @property
    def listed(self) -> tuple[str, ...]:
        """The models that the server listed when it was last ready."""
        return self._listed

    async def warm(self, prompt: str) -> None:
        """Nothing to do: servers behind a URL share prefixes by themselves."""

    def release(self, prompt: str) -> None:
        """Nothing to do: the server decides what it keeps."""

    async def stream(
        self, prompt: Prompt, params: SamplingParams, *, slot: int | None = None
    ) -> AsyncGenerator[Chunk, None]:
        """Continue the prompt; closing the generator drops the connection, at which servers stop computing.

        `slot` is the one of a llama.cpp server that has to do it.
        """
        received: list[str] = []
        finished = False
        counted = 0
        body = self._body(prompt, params) | ({} if slot is None else {"id_slot": slot})
        try:
            async with self._session().post(f"{self._base_url}/completions", json=body) as response:
                if response.status != 200:
                    raise await self._refusal(response)
                async for event in events(response.content):
                    chunk = read_chunk(event, counted)
                    counted += chunk.tokens
                    finished = finished or chunk.finish is not None
                    received.append(chunk.text)
                    yield chunk
        except _BROKEN as error:
            raise StreamBrokenError(
                f"the stream from {self._base_url} broke: {_brief(error)}", received="".join(received)
            ) from error
        if not finished:
            raise StreamBrokenError(f"the stream from {self._base_url} ended early", received="".join(received))

    @property
    def downtime(self) -> float:
        """0: how long a server behind a URL was down is not known."""
        return 0.0

    async def healthy(self) -> bool:
        """Whether the server says that it is well; one of vLLM whose engine has died says no."""
        try:
            async with asyncio.timeout(_CONNECT_SECONDS), self._session().get(f"{self._root}/health") as response:
                return response.status == 200
        except _BROKEN:
            return False

    async def tokenize(self, text: str) -> list[int] | None:
        """The ids of the text, without a start token; None unless the server is a vLLM that answers."""
        if not self._vllm:
            return None
        body = {"model": self._model, "prompt": text, "add_special_tokens": False}
        try:
            async with (
                asyncio.timeout(_CONNECT_SECONDS),
                self._session().post(f"{self._root}/tokenize", json=body) as response,
            ):
                if response.status != 200:
                    return None
                return [int(token) for token in (await response.json())["tokens"]]
        except (*_BROKEN, KeyError, TypeError):
            return None

    async def count_tokens(self, text: str) -> int | None:
        """How many tokens a text is; None unless the server tells."""
        ids = await self.tokenize(text)
        return None if ids is None else len(ids)

    @property
    def context_tokens(self) -> int | None:
        """None: it is not asked for."""
        return None

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
        optional: dict[str, Any] = {"model": self._model, "seed": params.seed, "stop": list(params.stop) or None}
        if self._vllm:
            optional |= {"return_token_ids": True, "logprobs": 0}
        if self._vllm >= _REPETITION_DETECTION:
            optional["repetition_detection"] = _LOOP
        if self._thinking_budget and self._vllm >= _THINKING_BUDGET:
            optional["thinking_token_budget"] = params.thinking_tokens
        return body | {key: value for key, value in optional.items() if value is not None}

    @property
    def _root(self) -> str:
        return self._base_url.removesuffix("/v1")

    async def _version(self) -> tuple[int, ...]:
        """The version of vLLM that serves; () if another server does. Others may have no such page, or any page."""
        try:
            async with self._session().get(f"{self._root}/version") as response:
                if response.status != 200:
                    return ()
                version = (await response.json(content_type=None))["version"]
                return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
        except (*_BROKEN, KeyError, TypeError):
            return ()

    async def _refusal(self, response: aiohttp.ClientResponse) -> EngineError:
        text = (await response.content.read(500)).decode("utf-8", "replace").strip()
        message = f"the engine at {self._base_url} answered {response.status}: {text}"
        if 400 <= response.status < 500 and response.status not in _TRY_AGAIN:
            return RequestRefusedError(message)
        return EngineUnavailableError(message, answered=True)


def api_url(url: str) -> str:
    """The base of the completions protocol at a server's URL.

    >>> api_url("http://127.0.0.1:8000/")
    'http://127.0.0.1:8000/v1'
    """
    base = url.rstrip("/")
    return base if base.endswith("/v1") else f"{base}/v1"


async def complete_one_token(engine: HttpEngine) -> None:
    """Ask for one token, which shows that the server computes. Raises EngineError."""
    async with aclosing(engine.stream("1 + 1 =", SamplingParams(max_tokens=1))) as chunks:
        async for _ in chunks:
            pass


def _brief(error: Exception) -> str:
    return (str(error) or type(error).__name__)[:300]
