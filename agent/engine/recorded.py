"""An engine that plays recorded samples back, at the speed that a roofline gives to the lanes that run."""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import cast

from agent.engine.base import Chunk, Prompt, SamplingParams
from agent.hardware.roofline import Hardware, steps_within

_CHARS_PER_TOKEN = 4
_FORCED_TOKENS = 20
_ROUNDING = 1e-6  # in steps


@dataclass(frozen=True, slots=True)
class RecordedTurn:
    """A recorded stretch of generated text; `finish` is why it ended, None where a code block ended it.

    `logprobs` stand for those of its tokens: they need not be as many, but have their means.
    """

    text: str
    tokens: int
    finish: str | None
    logprobs: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class RecordedLane:
    """A recorded sample: its turns, and what it says when asked for an answer after `asked_after` tokens or later."""

    turns: tuple[RecordedTurn, ...]
    asked: str = ""
    asked_after: float = math.inf


@dataclass(slots=True)
class _Stretch:
    """A stream that is being decoded: it has started at one step and ends at another."""

    start: float
    end: float
    context: float
    done: asyncio.Future[None]
    running: bool = True


@dataclass(slots=True)
class Decoder:
    """All running lanes step in time, each gaining a token a step; a step lasts as long as the hardware says.

    Only the end of a stretch is an event; the speed is worked out anew whenever the set of running lanes changes.
    """

    hardware: Hardware
    loop: asyncio.AbstractEventLoop
    _step: float = 0.0  # steps made since the first
    _at: float = 0.0  # when that was
    _lanes: int = 0
    _offsets: float = 0.0  # summed over running lanes: context at their start less the step at which they started
    _ends: list[tuple[float, int, _Stretch]] = field(default_factory=list)
    _count: int = 0
    _timer: asyncio.TimerHandle | None = None
    _planned: bool = False

    def start(self, tokens: int, context: float) -> _Stretch:
        """Begin to decode so many tokens behind a context; the stretch's future says when they are there."""
        self._advance()
        stretch = _Stretch(self._step, self._step + tokens, context, self.loop.create_future())
        self._lanes += 1
        self._offsets += context - self._step
        self._count += 1
        heapq.heappush(self._ends, (stretch.end, self._count, stretch))
        self._plan()
        return stretch

    def cut(self, stretch: _Stretch) -> int:
        """Stop the stretch; returns the whole tokens that it has."""
        self._advance()
        if stretch.running:
            self._remove(stretch)
            self._plan()
        return int(min(self._step, stretch.end) - stretch.start + _ROUNDING)

    def _remove(self, stretch: _Stretch) -> None:
        stretch.running = False
        self._lanes -= 1
        self._offsets -= stretch.context - stretch.start

    def _speed(self) -> tuple[float, float]:
        return self.hardware.step_seconds(self._lanes, self._offsets + self._lanes * self._step)

    def _advance(self) -> None:
        now = self.loop.time()
        if now > self._at and self._lanes:
            self._step += steps_within(now - self._at, *self._speed())
        self._at = now

    def _plan(self) -> None:
        """Work out the next end once all that happens at this moment has happened."""
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
            stretch = heapq.heappop(self._ends)[2]
            if stretch.running:
                self._remove(stretch)
                if not stretch.done.done():  # it may have been cancelled at this very moment
                    stretch.done.set_result(None)
        self._plan()


class RecordedEngine:
    """Plays the lane that belongs to the seed of a request: turn n of it to the seed plus n."""

    def __init__(self, lanes: Mapping[int, RecordedLane], hardware: Hardware) -> None:
        self._turns = {seed + n: turn for seed, lane in lanes.items() for n, turn in enumerate(lane.turns)}
        self._lanes = lanes
        self._hardware = hardware
        self._decoder: Decoder | None = None
        self._played: dict[int, int] = {}  # tokens by the lane's seed
        self._owner = {seed + n: seed for seed, lane in lanes.items() for n in range(len(lane.turns))}

    async def ready(self) -> None:
        """Always."""

    async def warm(self, prompt: str) -> None:
        """Prompts cost nothing here."""

    def release(self, prompt: str) -> None:
        """Nothing is kept."""

    async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
        """Play what was recorded. A stream that is cut hands over the count of its tokens, without their text."""
        if self._decoder is None:
            self._decoder = Decoder(self._hardware, asyncio.get_running_loop())
        seed = cast(int, params.seed)
        turn = self._asked(seed) if _asks(params) else self._turns.get(seed, RecordedTurn("", 0, "length"))
        if turn.tokens > params.max_tokens:
            turn = RecordedTurn("", params.max_tokens, "length")
        if turn.tokens:
            stretch = self._decoder.start(turn.tokens, len(prompt) // _CHARS_PER_TOKEN)
            try:
                await stretch.done
            except asyncio.CancelledError:
                yield Chunk("", self._play(seed, self._decoder.cut(stretch)))
                raise
        yield Chunk(turn.text, self._play(seed, turn.tokens), turn.finish, logprobs=turn.logprobs)

    async def tokenize(self, text: str) -> list[int] | None:
        """Prompts are text."""
        return None

    async def count_tokens(self, text: str) -> int | None:
        """As many as the roofline counts; what was not recorded as text is not in it."""
        return len(text) // _CHARS_PER_TOKEN

    @property
    def context_tokens(self) -> int | None:
        """None: what was recorded has fitted."""
        return None

    async def close(self) -> None:
        """Nothing to free."""

    def _play(self, seed: int, tokens: int) -> int:
        owner = self._owner.get(seed, seed)
        self._played[owner] = self._played.get(owner, 0) + tokens
        return tokens

    def _asked(self, seed: int) -> RecordedTurn:
        lane = self._lanes[seed]
        if self._played.get(seed, 0) < lane.asked_after:
            return RecordedTurn("", 0, "stop")
        return RecordedTurn(lane.asked, _FORCED_TOKENS, "stop")


def _asks(params: SamplingParams) -> bool:
    """Whether an answer is asked for: such a request alone ends with its line."""
    return "\n" in params.stop
