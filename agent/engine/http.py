"""The client of every engine: streams completions from a server that speaks the OpenAI protocol.

Works with vLLM, SGLang, llama.cpp's server and hosted services, and hides their differences.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from typing import Any

from agent.engine.base import Chunk, OnEvent, Prompt, SamplingParams
from agent.engine.completion.fields import Server, ServerKind, completion_body, server_of
from agent.engine.completion.refusals import FieldRefusals, completes_nothing
from agent.engine.completion.tokenizer import ServerTokenizer
from agent.engine.connection import TRANSPORT_ERRORS, ServerConnection
from agent.engine.server_errors import event_error
from agent.engine.server_info import context_of, context_of_props, fetch_json, fetch_models
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
_HEALTH_SECONDS = 10.0
_VERSION = re.compile(r"[^:/]/v\d\w*(?:/|\Z)")  # in the path of a URL
_BLANK_ENDS = 8  # an empty finish reason means a cut reply, unless a server gave this many and never another reason


class HttpEngine:
    """An engine behind a base URL such as `http://127.0.0.1:8000/v1`.

    `model` is the name known to the server; None takes the first that it lists. A stream that sends nothing for
    `stall_seconds` is broken; one that has not started yet may be queued as long as other streams make progress.
    `thinking_budget` says that the server was started with a reasoning parser, without which it rejects a thinking
    budget. The `api_key` is sent to this server only; `proxied` requests respect the environment's proxies. A field
    that the server refuses is left out from then on, and `on_event` is told.
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
        on_event: OnEvent = lambda text: None,
    ) -> None:
        self._server = ServerConnection(base_url, api_key=api_key, proxied=proxied)
        self._on_event = on_event
        self._refusals = FieldRefusals(self._report_refusal)
        self._named = model
        self._model = model
        self._listed: tuple[str, ...] = ()
        self._stalls = StallDetector(stall_seconds)
        self._thinking_budget = thinking_budget
        self._served_by = Server()
        self._tokenizer = ServerTokenizer(self._server)
        self._reported_context: int | None = None
        self._learned_context: int | None = None
        self._gives_reasons = False  # whether any reply had a finish reason
        self._blank_ends = 0  # replies that ended with an empty finish reason

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
        version = await self._version()
        context = context_of(listed, self._model)
        props = None if version else await fetch_json(self._server, f"{root}/props", seconds=self._seconds)
        self._served_by = server_of(version, listed, llama=context_of_props(props) is not None)
        context = context_of_props(props) or context
        if context != self._reported_context:
            self._reported_context, self._learned_context = context, None
        await self._tokenizer.begin(self._served_by, self._model, props)

    @property
    def model(self) -> str | None:
        """The model of the requests; None where none was named and the server has not listed any yet."""
        return self._model

    @property
    def chats(self) -> bool:
        """Whether prompts are sent as messages."""
        return False

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
        last: Chunk | None = None
        while True:
            body, reply = await self._exchange(prompt, params)
            body |= {} if slot is None else {"id_slot": slot}
            watch = self._stalls.watch()
            parser = EventParser()
            answered = False
            try:
                async with self._server.open("POST", self._path, body, send=watch.within) as response:
                    answered, piece = True, b" "
                    while piece and not reply.marked:
                        piece = await watch.within(response.content.readany())
                        watch.keep_alive()
                        for chunk in self._chunks(parser.feed(piece) if piece else parser.end(), reply, watch):
                            yield chunk
                last = reply.end(blank_is_none=self._blank_is_none(reply))
            except EngineError as error:
                if reply.finish is None:
                    if not reply.text and self._learns_refusal(error, body):
                        continue
                    self._learn(error)
                    self._explain(error, reply.text)
                    raise
            except TRANSPORT_ERRORS as error:
                if reply.finish is None:
                    raise self._fault(error, reply, parser.stray, answered=answered) from error
            finally:
                watch.end()
            break
        if last is not None:
            yield last

    async def healthy(self) -> bool:
        """Whether the server's /health says that it is healthy; vLLM's says no once its engine has died."""
        try:
            await self._server.page("GET", f"{self._server.root}/health", seconds=_HEALTH_SECONDS)
        except (*TRANSPORT_ERRORS, EngineError):
            return False
        return True

    async def tokenize(self, text: str) -> list[int] | None:
        """Return the token ids of the text, without a start token; None unless the server is a vLLM that responds."""
        return await self._tokenizer.ids(text) if self._served_by.kind is ServerKind.VLLM else None

    async def count_tokens(self, text: str) -> int | None:
        """Count the tokens of a text; None unless the server can. Never raises."""
        return await self._tokenizer.count(text)

    def sent(self, prompt: str) -> str:
        """The prompt as it goes to the server, without the start token that this adds itself."""
        return self._tokenizer.sent(prompt)

    @property
    def context_tokens(self) -> int | None:
        """The context length as reported by the server, or named in one of its errors; None where unknown."""
        reported = [context for context in (self._reported_context, self._learned_context) if context is not None]
        return min(reported, default=None)

    async def close(self) -> None:
        """Close all connections."""
        await self._server.close()

    def _chunks(self, events: Iterator[StreamEvent | None], reply: ReplyReader, watch: StreamWatch) -> Iterator[Chunk]:
        """What events add, up to the mark of the end."""
        for event in events:
            if event is None:
                reply.marked = True
                return
            yield self._read(event, reply, watch)

    def _read(self, event: StreamEvent, reply: ReplyReader, watch: StreamWatch) -> Chunk:
        error = event_error(self._server.shown, event)
        if error is not None:
            raise error
        ended = reply.finish is not None
        chunk = reply.read(event)
        if not ended:  # events after the end do not extend the deadline
            watch.event(last=reply.finish is not None)
        return chunk

    def _blank_is_none(self, reply: ReplyReader) -> bool:
        """Whether this server gives only empty finish reasons, judging by its replies so far."""
        if reply.finish is not None:
            self._gives_reasons = True
        self._blank_ends += reply.marked and reply.blank
        return not self._gives_reasons and self._blank_ends >= _BLANK_ENDS

    def _explain(self, error: EngineError, received: str) -> None:
        """Complete an error of a reply, with what to set where the server may only take messages."""
        if not self.chats and completes_nothing(error):
            error.args = (f"{error}; if it takes messages alone, set engine.protocol to 'chat'",)
        self._server.clean(error, received)

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
            if self._named is not None and error.status == 404:
                return []
            raise

    @property
    def _seconds(self) -> float:
        """The time limit of requests about the server itself."""
        return min(_INFO_SECONDS, self._stalls.seconds)

    @property
    def _path(self) -> str:
        return "/completions"

    def _learns_refusal(self, error: EngineError, body: Mapping[str, Any]) -> bool:
        """Whether the server refused a part of the request that it can be asked without."""
        return self._refusals.learn(error, body)

    async def _exchange(self, prompt: Prompt, params: SamplingParams) -> tuple[dict[str, Any], ReplyReader]:
        """The body of a request, and what reads the reply to it."""
        stop_ids = await self._tokenizer.stop_ids(params.stop)
        body = completion_body(
            self._served_by,
            self.sent(prompt) if isinstance(prompt, str) else prompt,
            params,
            model=self._model,
            stop_ids=stop_ids,
            thinking_budget=self._thinking_budget,
        )
        return self._refusals.applied(body), ReplyReader(params.answer_head)

    def _report_refusal(self, field: str) -> None:
        self._on_event(f"the engine at {self._server.shown} refuses the field {field}: it gets its requests without it")

    async def _version(self) -> tuple[int, ...]:
        """Return the version of vLLM, () for another server, which may have no such endpoint or any content there."""
        page = await fetch_json(self._server, f"{self._server.root}/version", seconds=self._seconds)
        version = page.get("version") if isinstance(page, dict) else None
        return tuple(int(part) for part in re.findall(r"\d{1,9}", version)[:3]) if isinstance(version, str) else ()


def api_url(url: str) -> str:
    """Return the base URL of the OpenAI protocol for a server's URL: the version 1, unless it names one.

    >>> api_url("http://127.0.0.1:8000/")
    'http://127.0.0.1:8000/v1'
    >>> api_url("http://127.0.0.1:8000/v1/chat/completions")
    'http://127.0.0.1:8000/v1'
    >>> api_url("https://api.example.com/v1/openai")
    'https://api.example.com/v1/openai'
    """
    base = url.rstrip("/").removesuffix("/chat/completions").removesuffix("/completions").rstrip("/")
    return base if _VERSION.search(base) else f"{base}/v1"


async def complete_one_token(engine: HttpEngine) -> None:
    """Generate one token, to see that the server works. Raises EngineError."""
    async with aclosing(engine.stream("1 + 1 =", SamplingParams(max_tokens=1))) as chunks:
        async for _ in chunks:
            pass
