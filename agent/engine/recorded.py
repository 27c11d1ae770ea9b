"""An engine that plays back recorded samples, at the speed that a roofline model gives to the running lanes."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, cast

from agent.engine.base import Chunk, Prompt, SamplingParams
from agent.hardware.roofline import Hardware, steps_within

_CHARS_PER_TOKEN = 4
_FORCED_TOKENS = 20
_ROUNDING = 1e-6  # in steps


class RecordedTurn(NamedTuple):
    """A recorded turn of generated text; `finish` is why it ended, None where a code block ended it.

    `logprobs` represent those of its tokens: there may be fewer, but their means are the same.
    """

    text: str
    tokens: int
    finish: str | None
    logprobs: tuple[float, ...] = ()


_NO_TURN = RecordedTurn("", 0, "length")


class RecordedLane(NamedTuple):
    """A recorded sample: its turns, and its forced answer if that is requested after `forced_after` tokens or later."""

    turns: tuple[RecordedTurn, ...]
    forced: str = ""
    forced_after: float = math.inf


@dataclass(slots=True)
class _Decoding:
    """A stream that is being decoded, from one step to another."""

    start: float
    end: float
    context: float
    done: asyncio.Future[None]
    running: bool = True


@dataclass(slots=True)
class BatchDecoder:
    """Simulates batched decoding: every running lane gains a token per step, whose duration the hardware determines.

    Only the end of a stream is a timer event; the speed is recomputed whenever the set of running lanes changes.
    """

    hardware: Hardware
    loop: asyncio.AbstractEventLoop
    _step: float = 0.0  # steps since the first
    _at: float = 0.0  # the time of that step
    _lanes: int = 0
    _offsets: float = 0.0  # sum over the running lanes: context at their start minus the step at which they started
    _ends: list[tuple[float, int, _Decoding]] = field(default_factory=list)
    _count: int = 0
    _timer: asyncio.TimerHandle | None = None
    _planned: bool = False

    def start(self, tokens: int, context: float) -> _Decoding:
        """Start decoding `tokens` tokens after a context; the result's future is set when they are done."""
        self._advance()
        stream = _Decoding(self._step, self._step + tokens, context, self.loop.create_future())
        self._lanes += 1
        self._offsets += context - self._step
        self._count += 1
        heapq.heappush(self._ends, (stream.end, self._count, stream))
        self._plan()
        return stream

    def cut(self, stream: _Decoding) -> int:
        """Stop decoding a stream; return its number of complete tokens."""
        self._advance()
        if stream.running:
            self._remove(stream)
            self._plan()
        return int(min(self._step, stream.end) - stream.start + _ROUNDING)

    def _remove(self, stream: _Decoding) -> None:
        stream.running = False
        self._lanes -= 1
        self._offsets -= stream.context - stream.start

    def _speed(self) -> tuple[float, float]:
        return self.hardware.step_seconds(self._lanes, self._offsets + self._lanes * self._step)

    def _advance(self) -> None:
        now = self.loop.time()
        if now > self._at and self._lanes:
            self._step += steps_within(now - self._at, *self._speed())
        self._at = now

    def _plan(self) -> None:
        """Schedule the next end after all other callbacks of this moment."""
        if not self._planned:
            self._planned = True
            self.loop.call_soon(self._set_timer)

    def _set_timer(self) -> None:
        self._planned = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._ends and not self._ends[0][2].running:
            heapq.heappop(self._ends)
        if self._ends:
            steps = max(0.0, self._ends[0][0] - self._step)
            first, growth = self._speed()
            self._timer = self.loop.call_at(self._at + first * steps + growth * steps * steps / 2, self._end_first)

    def _end_first(self) -> None:
        self._advance()
        self._step = max(self._step, self._ends[0][0])
        while self._ends and self._ends[0][0] <= self._step + _ROUNDING:
            stream = heapq.heappop(self._ends)[2]
            if stream.running:
                self._remove(stream)
                if not stream.done.done():  # it may have been cancelled at this very moment
                    stream.done.set_result(None)
        self._plan()


class RecordedEngine:
    """Plays the lane that belongs to the seed of a request: its turn n for the seed plus n."""

    def __init__(self, lanes: Mapping[int, RecordedLane], hardware: Hardware) -> None:
        self._turns = {seed + n: (seed, turn) for seed, lane in lanes.items() for n, turn in enumerate(lane.turns)}
        self._lanes = lanes
        self._hardware = hardware
        self._decoder: BatchDecoder | None = None
        self._played: dict[int, int] = {}  # tokens by the lane's seed

    async def ready(self) -> None:
        """Return at once."""

    async def warm(self, prompt: str) -> None:
        """Do nothing: prompts take no time here."""

    def release(self, prompt: str) -> None:
        """Do nothing: there is no cache."""

    async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
        """Play a recorded turn. A cancelled stream yields the number of its tokens, without their text."""
        if self._decoder is None:
            self._decoder = BatchDecoder(self._hardware, asyncio.get_running_loop())
        seed = cast(int, params.seed)
        owner, turn = self._turns.get(seed, (seed, _NO_TURN))
        if params.forces_answer:
            turn = self._forced_turn(seed)
        if turn.tokens > params.max_tokens:
            turn = RecordedTurn("", params.max_tokens, "length")
        if turn.tokens:
            stream = self._decoder.start(turn.tokens, len(prompt) // _CHARS_PER_TOKEN)
            try:
                await stream.done
            except asyncio.CancelledError:
                yield Chunk("", self._play(owner, self._decoder.cut(stream)))
                raise
        yield Chunk(turn.text, self._play(owner, turn.tokens), turn.finish, logprobs=turn.logprobs)

    async def tokenize(self, text: str) -> list[int] | None:
        """Return None: prompts are text."""
        return None

    async def count_tokens(self, text: str) -> int | None:
        """Estimate the tokens from the characters, as the roofline does."""
        return len(text) // _CHARS_PER_TOKEN

    @property
    def context_tokens(self) -> int | None:
        """None: what was recorded did fit."""
        return None

    async def close(self) -> None:
        """Do nothing."""

    def _play(self, owner: int, tokens: int) -> int:
        self._played[owner] = self._played.get(owner, 0) + tokens
        return tokens

    def _forced_turn(self, seed: int) -> RecordedTurn:
        lane = self._lanes[seed]
        if self._played.get(seed, 0) < lane.forced_after:
            return RecordedTurn("", 0, "stop")
        return RecordedTurn(lane.forced, _FORCED_TOKENS, "stop")
