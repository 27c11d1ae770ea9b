"""The state of a question while it is solved, gathered from the solver's events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from agent.answers import extract_answer
from agent.chat.dialects import chat_format
from agent.chat.format import ChatFormat, ToolCallScanner
from agent.config import Config
from agent.events import (
    EngineEvent,
    Event,
    InsertedKind,
    ProblemSolved,
    ProblemStarted,
    RunWarning,
    SampleEnded,
    TextGenerated,
    TextInserted,
)
from agent.policy.voting import tally
from agent.types import Edition, Problem, Sample, SampleEnd, Solution, Tally
from agent.views.sample_votes import shortest_backer
from agent.views.state import TokenRate
from agent.views.totals import AttemptCount, count_attempts

_ANSWER_CHARS = 2_000  # last characters of a text in which a running lane's answer is looked for


class Phase(StrEnum):
    """What a lane is doing, or how it ended."""

    WAITING = "waiting"  # for the engine: for its turn, or for the prompt to be read
    THINKING = "thinking"
    RUNNING_CODE = "running code"
    FORCING = "forcing its answer"
    ANSWERED = "answered"
    FORCED = "forced answer"
    NO_ANSWER = "no answer"
    CANCELLED = "cancelled"
    CODE_FAILED = "code failed"
    FAILED = "failed"


_UNANSWERED = {
    SampleEnd.CANCELLED: Phase.CANCELLED,
    SampleEnd.FAILED_CODE: Phase.CODE_FAILED,
    SampleEnd.ENGINE_ERROR: Phase.FAILED,
}


class LaneState:
    """One lane as its events describe it; `chat` is how its model is spoken to."""

    def __init__(self, chat: ChatFormat, *, tools: bool) -> None:
        self._chat = chat
        self._tools = tools
        self._pieces: list[str] = []
        self._said = chat.opening  # the same text without the outputs of code
        self._calls: ToolCallScanner | None = None
        self.tokens = 0
        self.phase = Phase.WAITING
        self.sample: Sample | None = None
        self._open_turn(chat.opening)

    @property
    def text(self) -> str:
        """All that the lane's assistant turn holds so far."""
        written = "".join(self._pieces)
        self._pieces = [written]
        return self._chat.opening + written

    def write(self, text: str, inserted: InsertedKind | None = None) -> None:
        """Take the next piece of the text, and as what the agent `inserted` it, if it did."""
        self._pieces.append(text)
        self._said = (self._said + ("\n" if inserted == "result" else text))[-_ANSWER_CHARS:]
        if inserted is not None:
            self.phase = Phase.FORCING if inserted == "forcing" else Phase.WAITING
            self._open_turn(self._chat.hint.call_open if inserted == "hint" and self._chat.hint else "")
            return
        if self.phase is Phase.WAITING:
            self.phase = Phase.THINKING
        if self._calls is not None and self._calls.feed(text) is not None:
            self.phase, self._calls = Phase.RUNNING_CODE, None

    def end(self, sample: Sample) -> None:
        """Record how the lane ended."""
        self.sample = sample
        self.tokens = sample.tokens
        if sample.answer is None:
            self.phase = _UNANSWERED.get(sample.end, Phase.NO_ANSWER)
        else:
            self.phase = Phase.FORCED if sample.forced else Phase.ANSWERED

    def answer(self, edition: Edition) -> int | None:
        """Return its vote, or the last answer in its text while it runs."""
        if self.sample is not None:
            return self.sample.answer
        return extract_answer(self._said, edition)

    def _open_turn(self, before: str) -> None:
        self._calls = self._chat.call_scanner() if self._tools else None
        if self._calls is not None:
            self._calls.feed(before)


@dataclass(slots=True)
class Question:
    """A visitor's question, kept up to date by the events of its solution.

    `place` is the number of questions ahead of it. `begun` is in seconds of `clock`, None while it waits. `failure` is
    a message for the visitor if it could not be solved.
    """

    problem: Problem
    config: Config
    clock: Callable[[], float]
    place: int = 0
    begun: float | None = None
    allowance: float = 0.0
    lanes: list[LaneState] = field(default_factory=list)
    rate: TokenRate | None = None
    engine_event: str = ""
    solution: Solution | None = None
    failure: str = ""
    directory: Path | None = None
    answer_now: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def open(self) -> bool:
        """Whether it still waits or is being solved."""
        return self.solution is None and not self.failure

    @property
    def seconds(self) -> float:
        """Seconds spent on it so far."""
        if self.solution is not None:
            return self.solution.seconds
        return 0.0 if self.begun is None else self.clock() - self.begun

    @property
    def tokens(self) -> int:
        """Tokens generated by its lanes."""
        return sum(lane.tokens for lane in self.lanes)

    @property
    def tokens_per_second(self) -> float:
        """The rate over the last seconds while it is solved, over the whole time afterwards."""
        if self.solution is not None:
            return self.solution.tokens / self.solution.seconds if self.solution.seconds > 0 else 0.0
        return 0.0 if self.rate is None else self.rate.per_second(self.clock())

    @property
    def samples(self) -> list[Sample]:
        """The samples that have ended."""
        return [lane.sample for lane in self.lanes if lane.sample is not None]

    @property
    def code_use(self) -> tuple[AttemptCount, AttemptCount]:
        """The samples that ran code, and the others, counted against its answer."""
        solutions, truths = [self.solution] if self.solution else [], {self.problem.id: self.problem.answer}
        ran = [sample for sample in self.samples if sample.tool_runs]
        others = [sample for sample in self.samples if not sample.tool_runs]
        return count_attempts(solutions, ran, truths), count_attempts(solutions, others, truths)

    @property
    def tally(self) -> Tally:
        """The votes so far."""
        if self.solution:
            return self.solution.tally
        return tally(self.samples, self.config.voting, self.config.rules)

    @property
    def evidence(self) -> Sample | None:
        """The shortest sample that gave the answer; forced answers come after all others."""
        leader = self.tally.leader
        return shortest_backer(self.samples, leader.answer if leader else None)

    @property
    def chat(self) -> ChatFormat:
        """How the model is spoken to."""
        return chat_format(self.config.sample.family, tools=self.config.sample.tools)

    def __call__(self, event: Event) -> None:
        """Take an event of its solution in."""
        match event:
            case TextGenerated(_, index, text, tokens):
                self.lanes[index].tokens += tokens
                self.lanes[index].write(text)
                if self.rate is not None:
                    self.rate.add(self.clock(), tokens)
            case TextInserted(_, index, text, kind):
                self.lanes[index].write(text, kind)
            case ProblemStarted(_, _, allowance, lanes):
                self.begun, self.allowance, self.rate = self.clock(), allowance, TokenRate(self.clock())
                self.lanes = [LaneState(self.chat, tools=self.config.sample.tools) for _ in range(lanes)]
            case SampleEnded(sample):
                self.lanes[sample.index].end(sample)
            case ProblemSolved(solution):
                self.solution = solution
            case EngineEvent(text) | RunWarning(text):
                self.engine_event = text
