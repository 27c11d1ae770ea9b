"""What is known of a question while it is solved, gathered from the events of the solver."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from agent.answers import extract_answer
from agent.chat.fences import FenceScanner
from agent.chat.prompts import FAMILIES, opening
from agent.config import Config
from agent.policy.voting import tally
from agent.types import Edition, Problem, Sample, SampleEnd, Solution, Tally, ToolRun
from agent.views.state import Rate

_LOOKED_AT = 2_000  # last characters of a text in which a running lane's answer is looked for


class Phase(StrEnum):
    """What a lane is doing, or how it ended."""

    THINKING = "thinking"
    RUNNING_CODE = "running code"
    ASKED = "asked for its answer"
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
    """One lane as far as its events have told; `start` is what its text goes on from."""

    def __init__(self, start: str, *, tools: bool) -> None:
        self._start = start
        self._tools = tools
        self._pieces: list[str] = []
        self._said = start  # the same without the outputs of code
        self._fences: FenceScanner | None = None
        self._output_comes = False
        self.tokens = 0
        self.phase = Phase.THINKING
        self.sample: Sample | None = None
        self._open_turn(start)

    @property
    def text(self) -> str:
        """All that the lane's assistant turn holds so far."""
        written = "".join(self._pieces)
        self._pieces = [written]
        return self._start + written

    def write(self, text: str, *, inserted: bool) -> None:
        """Take the next piece of the text."""
        self._pieces.append(text)
        self._said = (self._said + ("\n" if inserted and self._output_comes else text))[-_LOOKED_AT:]
        if inserted:
            self.phase = Phase.THINKING if self._output_comes else Phase.ASKED
            self._output_comes = False
            self._open_turn("")
        elif self._fences is not None and self._fences.feed(text) is not None:
            self.phase, self._fences = Phase.RUNNING_CODE, None

    def tool_ran(self) -> None:
        """What is inserted next is the output of the code."""
        self._output_comes = True

    def end(self, sample: Sample) -> None:
        """Take its end."""
        self.sample = sample
        self.tokens = sample.tokens
        if sample.answer is None:
            self.phase = _UNANSWERED.get(sample.end, Phase.NO_ANSWER)
        else:
            self.phase = Phase.FORCED if sample.forced else Phase.ANSWERED

    def answer(self, edition: Edition) -> int | None:
        """Its vote, or while it runs what it has said so far."""
        if self.sample is not None:
            return self.sample.answer
        return extract_answer(self._said, edition)

    def _open_turn(self, before: str) -> None:
        self._fences = FenceScanner() if self._tools else None
        if self._fences is not None:
            self._fences.feed(before)


@dataclass(slots=True)
class Question:
    """A problem that a visitor has asked, and an observer of its solution.

    `place` is the number of questions that are answered before it. `begun` and `now` are in seconds of the same clock;
    `begun` is None while it waits. `failure` is a sentence for the visitor if it could not be solved.
    """

    problem: Problem
    config: Config
    clock: Callable[[], float]
    place: int = 0
    begun: float | None = None
    allowance: float = 0.0
    lanes: list[LaneState] = field(default_factory=list)
    rate: Rate | None = None
    notice: str = ""
    solution: Solution | None = None
    failure: str = ""
    directory: Path | None = None
    wanted_now: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def open(self) -> bool:
        """Whether it still waits or is being solved."""
        return self.solution is None and not self.failure

    @property
    def seconds(self) -> float:
        """Time that it has taken so far."""
        if self.solution is not None:
            return self.solution.seconds
        return 0.0 if self.begun is None else self.clock() - self.begun

    @property
    def tokens(self) -> int:
        """Tokens that its lanes have generated."""
        return sum(lane.tokens for lane in self.lanes)

    @property
    def tokens_per_second(self) -> float:
        """Over the last seconds while it is solved, over all of it afterwards."""
        if self.solution is not None:
            return self.solution.tokens / self.solution.seconds if self.solution.seconds > 0 else 0.0
        return 0.0 if self.rate is None else self.rate.per_second(self.clock())

    @property
    def samples(self) -> list[Sample]:
        """The samples that have ended."""
        return [lane.sample for lane in self.lanes if lane.sample is not None]

    @property
    def tally(self) -> Tally:
        """The votes so far."""
        if self.solution:
            return self.solution.tally
        return tally(self.samples, self.config.voting, self.config.rules.modulus)

    @property
    def evidence(self) -> Sample | None:
        """The shortest sample that gave the answer, one that was not asked for it before those that were."""
        leader = self.tally.leader
        backers = [sample for sample in self.samples if leader is not None and sample.answer == leader.answer]
        return min(backers, key=lambda sample: (sample.forced, sample.tokens, sample.index), default=None)

    def problem_started(self, problem: Problem, prompt: str, allowance: float, lanes: int) -> None:
        """Its lanes start."""
        self.begun, self.allowance, self.rate = self.clock(), allowance, Rate(self.clock())
        self.lanes = [LaneState(self.start, tools=self.config.sample.tools) for _ in range(lanes)]

    @property
    def start(self) -> str:
        """What the text of each lane goes on from."""
        return opening(FAMILIES[self.config.sample.family], tools=self.config.sample.tools)

    def tokens_received(self, problem_id: str, index: int, tokens: int) -> None:
        """Count the tokens."""
        self.lanes[index].tokens += tokens
        if self.rate is not None:
            self.rate.add(self.clock(), tokens)

    def text_written(self, problem_id: str, index: int, text: str, *, inserted: bool) -> None:
        """Show the text."""
        self.lanes[index].write(text, inserted=inserted)

    def tool_ran(self, problem_id: str, index: int, tool_run: ToolRun) -> None:
        """The lane goes on."""
        self.lanes[index].tool_ran()

    def sample_ended(self, sample: Sample) -> None:
        """The lane has ended."""
        self.lanes[sample.index].end(sample)

    def problem_solved(self, solution: Solution) -> None:
        """It is answered."""
        self.solution = solution

    def engine_noticed(self, text: str, at: float) -> None:
        """Show the sentence."""
        self.notice = text
