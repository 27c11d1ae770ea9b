"""Fits the requests of a sample, and what is written into it, into the context of the server."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator

from agent.chat.output_text import defused, rendered
from agent.cost.account import Account
from agent.engine.base import Chunk, Prompt, SamplingParams
from agent.errors import ContextExceededError, EngineError
from agent.lane.runtime import Runtime
from agent.lane.transcript import Transcript, most_tokens
from agent.lane.turn import TurnWriter

_INSERTED_TOKENS = 32  # kept for what forces the answer, or frames an output
_FRAME_TOKENS = 16  # around an output
_LEAST_OUTPUT_TOKENS = 64  # for an output that does not fit
_MAX_REFUSALS = 8  # requests that the server finds too long, until the sample is taken to be at its end
_CUT_MARK = "\n[... cut to fit the context ...]\n"

Request = tuple[Prompt, SamplingParams]


class ContextFitter:
    """Works out what a sample may still request: prompt and reply together never exceed the context.

    The context is the configured one, or the server's if that is smaller; lengths are the server's own counts where it
    reports them. Some of it is always kept for the forced answer. The money of an `account` is a limit too.
    """

    def __init__(self, transcript: Transcript, runtime: Runtime, seed: int, account: Account | None = None) -> None:
        self._transcript = transcript
        self._runtime = runtime
        self._chat = runtime.chat
        self._seed = seed
        self._account = account
        self._limit = math.inf  # learned from refusals
        self._refusals = 0
        self._last_refusal: ContextExceededError | None = None
        self._full = False
        self._requested = 0  # tokens of the last request, the reply included
        self._length = 0  # tokens of its prompt

    async def next(self, *, thinks: bool) -> Request | None:
        """The request for the next turn, or for the rest of it; None where there is no room for it."""
        config = self._runtime.config
        prompt = await self._transcript.request()
        length = await self._transcript.length()
        room = min(config.sample.max_tokens - self._transcript.tokens, self._room(length))
        if self._account is not None:
            room = int(min(room, self._account.room(length)))
        if room < 1 or not (self._account is None or self._account.reserve(length, room)):
            return None
        self._length, self._requested = length, length + room
        return prompt, self._params(room, thinks=thinks)

    async def for_forced_answer(self, writer: TurnWriter) -> Request | None:
        """The request for a forced answer; where the context is full, the middle of the prompt gives way to it.

        Raises ContextExceededError where the server found every request too long.
        """
        tokens = self._runtime.config.sample.answer_tokens - writer.tokens
        room = int(self._context - tokens)
        if tokens < 1 or room < 1 or self._refusals > _MAX_REFUSALS:
            if self._last_refusal is not None and not self._transcript.tokens:
                raise self._last_refusal
            return None
        prompt = await self._transcript.request()
        length = await self._transcript.length()
        if length > room:
            prompt, length = await self._transcript.shorten(prompt, room), room
        if not (self._account is None or self._account.reserve(length, tokens, answer=False)):
            return None
        self._length, self._requested = length, length + tokens
        return prompt, self.answer_params(tokens)

    def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
        """Send the request that was worked out last."""
        chunks = self._runtime.engine.stream(prompt, params)
        if self._account is None:
            return chunks
        return self._account.stream(chunks, self._length, params.max_tokens)

    def probe(self, prompt: Prompt) -> AsyncGenerator[Chunk, None] | None:
        """Force an answer beside the sample's own request; None where there is no money for it."""
        params = self.answer_params(self._runtime.config.sample.answer_tokens)
        if self._account is None:
            return self._runtime.engine.stream(prompt, params)
        length = most_tokens(prompt) if isinstance(prompt, str) else len(prompt)
        if not self._account.reserve(length, params.max_tokens):
            return None
        return self._account.stream(self._runtime.engine.stream(prompt, params), length, params.max_tokens)

    async def output(self, text: str, after: str = "") -> str:
        """Return what is inserted for an output: at most half of the room left, its middle cut out if it is longer.

        `after` follows it.

        Where that is too little to be of use, the sample has no room for another turn.
        """
        inserted = self._chat.tool_result(text) + after
        if most_tokens(inserted) <= self._room(self._transcript.most_length) // 2:
            return inserted
        room = max(0, self._room(await self._transcript.length()) // 2)
        if most_tokens(inserted) <= room or await self._transcript.count(inserted) <= room:
            return inserted
        self._full = room < _LEAST_OUTPUT_TOKENS
        shown = defused(rendered(text))
        room -= _FRAME_TOKENS + await self._transcript.count(after)
        kept = "" if self._full else await self._transcript.cut_middle(shown, room, _CUT_MARK)
        return self._chat.tool_result(kept) + after

    def learn(self, error: EngineError) -> bool:
        """Return whether the error says that a request was too long; the next one then is shorter."""
        if not isinstance(error, ContextExceededError) or error is self._last_refusal:
            return False
        self._last_refusal = error
        self._refusals += 1
        if error.context_tokens is None:
            self._limit = self._requested // 2
        elif self._requested > error.context_tokens:
            self._limit = error.context_tokens
        else:  # a request that should have fitted has been counted too low
            self._limit = self._requested * 7 // 8
        return True

    def answer_params(self, tokens: int) -> SamplingParams:
        """Return how a forced answer is drawn: greedily, up to where its reader closes the stream."""
        seed = self._seed if self._runtime.config.sampling.seeded else None  # a recording is found by it
        return SamplingParams(
            max_tokens=tokens,
            temperature=0.0,
            seed=seed,
            stop=self._chat.stop_strings,
            control_tokens=self._chat.control_tokens,
            forces_answer=True,
        )

    @property
    def _context(self) -> float:
        server = self._runtime.engine.context_tokens or math.inf
        return min(self._runtime.config.engine.context_tokens, server, self._limit)

    def _room(self, length: int) -> int:
        """Tokens that may follow so many, with the forced answer's kept."""
        if self._full or self._refusals > _MAX_REFUSALS:
            return 0
        return int(self._context) - length - self._runtime.config.sample.answer_tokens - _INSERTED_TOKENS

    def _params(self, max_tokens: int, *, thinks: bool) -> SamplingParams:
        config = self._runtime.config
        sampling = config.sampling
        thinking = max(0, config.sample.max_thinking_tokens - self._transcript.tokens)
        return SamplingParams(
            max_tokens=max_tokens,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=sampling.min_p,
            presence_penalty=sampling.presence_penalty,
            seed=self._seed + len(self._transcript.turns) if sampling.seeded else None,
            stop=self._chat.stop_strings,
            control_tokens=self._chat.control_tokens,
            answer_head=self._chat.answer_head,
            thinking_tokens=thinking if thinking and thinks else None,
        )
