"""The client of every engine: streams completions from a server that speaks the OpenAI protocol.

Works with vLLM, SGLang, llama.cpp's server and hosted services, and hides their differences.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import aiohttp

from agent.engine.base import Chunk, Prompt, SamplingParams
from agent.engine.connection import TRANSPORT_ERRORS, ServerConnection
from agent.engine.server_errors import event_error
from agent.engine.server_info import context_of, context_of_props, fetch_json, fetch_models, token_count
from agent.engine.sse import EventParser, StreamEvent
from agent.engine.stall import StallDetector, StreamWatch
from agent.engine.wire import ReplyReader
from agent.errors import (
    ContextExceededError,
    EngineError,
    RequestRefusedError,
    StreamBrokenError,
)

_INFO_SECONDS = 30.0  # for requests about the server itself
_TOKENIZE_SECONDS = 10.0
_TOKENIZE_RETRY_SECONDS = 30.0  # after a temporary failure
_BLANK_ENDS = 8  # an empty finish reason means a cut reply, unless a server gave this many and never another reason
# The versions of vLLM that introduced these request fields.
_REPETITION_DETECTION = (0, 17)
_THINKING_BUDGET = (0, 20)
# A tail of 512 or more tokens that is one cycle; twelve dozen zeros in a matrix are not. Any period up to 32 has a
# multiple among these sizes; the server checks each of them for every token, so they are few.
_LOOP = {"min_pattern_size": 128, "max_pattern_size": 160, "min_count": 4}


class HttpEngine:
    """An engine behind a base URL such as `http://127.0.0.1:8000/v1`.

    `model` is the name known to the server; None takes the first that it lists. A stream that sends nothing for
    `stall_seconds` is broken; one that has not started yet may be queued as long as other streams make progress.
    `thinking_budget` says that the server was started with a reasoning parser, without which it rejects a thinking
    budget. The `api_key` is sent to this server only; `proxied` requests respect the environment's proxies.
    """

    def __init__(
        self,
        base_url: str,
        *,
        model: str | None = None,
        stall_seconds: float = 120.0,
        thinking_budget: bool = False,
        api_key: str | None = None,
        proxied: bool = False,
    ) -> None:
        self._server = ServerConnection(base_url, api_key=api_key, proxied=proxied)
        self._named = model
        self._model = model
        self._listed: tuple[str, ...] = ()
        self._stalls = StallDetector(stall_seconds)
        self._thinking_budget = thinking_budget
        self._vllm: tuple[int, ...] = ()  # version of the server if it is vLLM
        self._llama = False  # whether it is llama.cpp's
        self._reported_context: int | None = None
        self._learned_context: int | None = None
        self._gives_reasons = False  # whether any reply had a finish reason
        self._blank_ends = 0  # replies that ended with an empty finish reason
        self._counts_from: float | None = 0.0  # loop time from which /tokenize may be tried; None: not supported

    async def ready(self) -> None:
        """Return once the server lists its models; select the first of them if none was named.

        Raises EngineUnavailableError or RequestRefusedError.
        """
        root = self._server.root
        listed = await self._served_models()
        self._listed = tuple(str(model["id"]) for model in listed)
        if self._named is None:
            if not listed:
                raise RequestRefusedError(f"the engine at {self._server.shown} serves no model; start it with one")
            self._model = self._model if self._model in self._listed else self._listed[0]
        self._vllm = await self._version()
        context = context_of(listed, self._model)
        props = None if self._vllm else await fetch_json(self._server, f"{root}/props", seconds=self._seconds)
        self._llama = context_of_props(props) is not None
        context = context_of_props(props) or context
        if context != self._reported_context:
            self._reported_context, self._learned_context = context, None
        self._counts_from = 0.0

    @property
    def model(self) -> str | None:
        """The model of the requests; None where none was named and the server has not listed any yet."""
        return self._model

    @property
    def listed(self) -> tuple[str, ...]:
        """The models listed by the server when it was last ready."""
        return self._listed

    async def warm(self, prompt: str) -> None:
        """Do nothing: servers behind a URL manage their prefix caches themselves."""

    def release(self, prompt: str) -> None:
        """Do nothing: the server manages its own cache."""

    async def stream(
        self, prompt: Prompt, params: SamplingParams, *, slot: int | None = None
    ) -> AsyncGenerator[Chunk, None]:
        """Continue the prompt; closing the generator drops the connection, which aborts the request on the server.

        `slot` selects the slot of a llama.cpp server. Once the reply has ended, nothing that follows it can fail it.
        """
        reply = ReplyReader(params.max_tokens)
        watch = self._stalls.watch()
        parser = EventParser()
        body = self._body(prompt, params) | ({} if slot is None else {"id_slot": slot})
        answered = done = False
        last: Chunk | None = None
        try:
            async with self._server.open("POST", "/completions", body, send=watch.within) as response:
                answered = True
                async with aclosing(_events(response, parser, watch)) as stream:
                    async for event in stream:
                        if event is None:
                            done = True
                            break
                        yield self._read(event, reply, watch)
            last = reply.end(done=done, blank_is_none=self._blank_is_none(reply, done=done))
        except EngineError as error:
            if reply.finish is None:
                self._learn(error)
                self._server.clean(error, reply.text)
                raise
        except TRANSPORT_ERRORS as error:
            if reply.finish is None:
                raise self._fault(error, reply, parser.stray, answered=answered) from error
        if last is not None:
            yield last

    async def healthy(self) -> bool:
        """Whether the server's /health says that it is healthy; vLLM's says no once its engine has died."""
        try:
            await self._server.page("GET", f"{self._server.root}/health", seconds=_TOKENIZE_SECONDS)
        except (*TRANSPORT_ERRORS, EngineError):
            return False
        return True

    async def tokenize(self, text: str) -> list[int] | None:
        """Return the token ids of the text, without a start token; None unless the server is a vLLM that responds."""
        answer = await self._tokenized(text) if self._vllm else None
        ids = answer.get("tokens") if isinstance(answer, dict) else None
        return ids if isinstance(ids, list) and all(type(token) is int for token in ids) else None

    async def count_tokens(self, text: str) -> int | None:
        """Count the tokens of a text; None unless the server can. Never raises."""
        now = asyncio.get_running_loop().time()
        if self._counts_from is None or now < self._counts_from:
            return None
        answer = await self._tokenized(text)
        count = token_count(answer)
        if answer is not None and count is None:  # another kind of page
            self._counts_from = None
        return count

    @property
    def context_tokens(self) -> int | None:
        """The context length as reported by the server, or named in one of its errors; None where unknown."""
        reported = [context for context in (self._reported_context, self._learned_context) if context is not None]
        return min(reported, default=None)

    async def close(self) -> None:
        """Close all connections."""
        await self._server.close()

    def _read(self, event: StreamEvent, reply: ReplyReader, watch: StreamWatch) -> Chunk:
        error = event_error(self._server.shown, event)
        if error is not None:
            raise error
        ended = reply.finish is not None
        chunk = reply.read(event)
        if not ended:  # events after the end do not extend the deadline
            watch.event(last=reply.finish is not None)
        return chunk

    def _blank_is_none(self, reply: ReplyReader, *, done: bool) -> bool:
        """Whether this server gives only empty finish reasons, judging by its replies so far."""
        if reply.finish is not None:
            self._gives_reasons = True
        self._blank_ends += done and reply.blank
        return not self._gives_reasons and self._blank_ends >= _BLANK_ENDS

    def _learn(self, error: EngineError) -> None:
        """Remember the context length from an error that names it."""
        named = error.context_tokens if isinstance(error, ContextExceededError) else None
        if named is not None:
            self._learned_context = min(named, self.context_tokens or named)

    def _fault(self, error: Exception, reply: ReplyReader, stray: str, *, answered: bool) -> EngineError:
        if not answered:
            return self._server.unreachable_error(error)
        cause = self._server.brief(error) + (f"; it said {self._server.scrubbed(stray)!r}" if stray else "")
        return StreamBrokenError(f"the stream from {self._server.shown} broke: {cause}", received=reply.text)

    async def _served_models(self) -> list[Mapping[str, Any]]:
        """Return the listed models; a server without such an endpoint may still serve the model that was named."""
        try:
            return await fetch_models(self._server, seconds=self._seconds)
        except RequestRefusedError as error:
            if self._named is not None and " answered 404" in str(error):
                return []
            raise

    @property
    def _seconds(self) -> float:
        """The time limit of requests about the server itself."""
        return min(_INFO_SECONDS, self._stalls.seconds)

    async def _tokenized(self, text: str) -> Any:
        """Return the server's response to a tokenize request, None if it has none."""
        body: dict[str, Any] = {"model": self._model, "prompt": text, "add_special_tokens": False}
        if self._llama:
            body = {"content": text, "add_special": False, "parse_special": True}
        try:
            return await self._server.json("POST", f"{self._server.root}/tokenize", body, seconds=_TOKENIZE_SECONDS)
        except ContextExceededError:
            return None
        except (RequestRefusedError, ValueError):  # it has no such endpoint
            self._counts_from = None
        except (*TRANSPORT_ERRORS, EngineError):
            self._counts_from = asyncio.get_running_loop().time() + _TOKENIZE_RETRY_SECONDS
        return None

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
            optional |= {"return_token_ids": True, "logprobs": 0, "skip_special_tokens": False}
            optional["add_special_tokens"] = False  # a prompt begins with the token that its family's template has
            # Otherwise characters that may begin a stop string are held back, and a text is not that of its tokens.
            optional["include_stop_str_in_output"] = True if params.stop else None
        if self._vllm >= _REPETITION_DETECTION:
            optional["repetition_detection"] = _LOOP
        if self._thinking_budget and self._vllm >= _THINKING_BUDGET:
            optional["thinking_token_budget"] = params.thinking_tokens
        return body | {key: value for key, value in optional.items() if value is not None}

    async def _version(self) -> tuple[int, ...]:
        """Return the version of vLLM, () for another server, which may have no such endpoint or any content there."""
        page = await fetch_json(self._server, f"{self._server.root}/version", seconds=self._seconds)
        version = page.get("version") if isinstance(page, dict) else None
        return tuple(int(part) for part in re.findall(r"\d{1,9}", version)[:3]) if isinstance(version, str) else ()


async def _events(
    response: aiohttp.ClientResponse, parser: EventParser, watch: StreamWatch
) -> AsyncGenerator[StreamEvent | None, None]:
    """Yield the events of the body as they arrive. Raises TimeoutError on a stall, ValueError as the parser."""
    while piece := await watch.within(response.content.readany()):
        watch.keep_alive()
        for event in parser.feed(piece):
            yield event
    for event in parser.end():
        yield event


def api_url(url: str) -> str:
    """Return the base URL of the OpenAI protocol for a server's URL.

    >>> api_url("http://127.0.0.1:8000/")
    'http://127.0.0.1:8000/v1'
    >>> api_url("http://127.0.0.1:8000/v1/chat/completions")
    'http://127.0.0.1:8000/v1'
    """
    base = url.rstrip("/").removesuffix("/chat/completions").removesuffix("/completions").rstrip("/")
    return base if base.endswith("/v1") else f"{base}/v1"


async def complete_one_token(engine: HttpEngine) -> None:
    """Generate one token, to see that the server works. Raises EngineError."""
    async with aclosing(engine.stream("1 + 1 =", SamplingParams(max_tokens=1))) as chunks:
        async for _ in chunks:
            pass
