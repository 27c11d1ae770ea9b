"""The state of a run and of its problems in flight, gathered from events."""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from agent.cost.money import money_text
from agent.events import (
    EngineEvent,
    Event,
    HealthChecked,
    ProblemSolved,
    ProblemStarted,
    RequestCharged,
    RunWarning,
    SampleEnded,
    TextGenerated,
    TextInserted,
    ToolRan,
)
from agent.metrics import is_right
from agent.policy.voting import is_guess
from agent.types import Problem, Sample, SampleEnd, Solution, ToolStatus

_RATE_SECONDS = 5.0
_RATE_STEP_SECONDS = 0.1
_ENGINE_EVENT_SECONDS = 60.0  # for which one is shown


class TokenRate:
    """Tokens a second over the last few seconds, at a cost that does not grow with the number of events."""

    def __init__(self, now: float) -> None:
        self._begun = now
        self._steps: deque[tuple[float, int]] = deque()

    def add(self, now: float, tokens: int) -> None:
        """Count tokens that came now."""
        if self._steps and now - self._steps[-1][0] < _RATE_STEP_SECONDS:
            begun, before = self._steps.pop()
            self._steps.append((begun, before + tokens))
            return
        self._steps.append((now, tokens))
        while self._steps[0][0] <= now - _RATE_SECONDS:
            self._steps.popleft()

    def per_second(self, now: float) -> float:
        """The mean over the window, or since the beginning (a second ago at least) where that is nearer."""
        tokens = sum(tokens for begun, tokens in self._steps if begun > now - _RATE_SECONDS)
        return tokens / min(_RATE_SECONDS, max(1.0, now - self._begun))


class AnswerCount(NamedTuple):
    """How many ended samples gave an answer, and how many of them guessed it."""

    answer: int
    samples: int
    guesses: int


@dataclass(slots=True)
class ProblemState:
    """A problem in flight, as its events describe it."""

    problem: Problem
    allowance: float
    lanes: int
    begun: float
    rate: TokenRate
    tokens: int = 0
    tools: Counter[bool] = field(default_factory=Counter)  # by success
    seen: set[int] = field(default_factory=set)  # samples that have had an event
    active: set[int] = field(default_factory=set)  # samples that have had a token since the agent last wrote into them
    ended: dict[int, Sample] = field(default_factory=dict)

    @property
    def cancelled(self) -> int:
        """Samples that were cut because the vote was settled."""
        return sum(sample.end is SampleEnd.CANCELLED for sample in self.ended.values())

    @property
    def done(self) -> int:
        """Samples that ended otherwise."""
        return len(self.ended) - self.cancelled

    @property
    def running(self) -> int:
        """Samples that the engine computes, or that run code."""
        return len(self.active - self.ended.keys())

    @property
    def waiting(self) -> int:
        """Samples that wait for the engine: for their turn, or for their prompt to be read."""
        return max(0, self.lanes - len(self.ended) - self.running)

    def add_sample(self, index: int) -> None:
        """Count a sample that has had an event; where nobody leads, more are started than were announced."""
        if index not in self.seen:
            self.seen.add(index)
            self.lanes = max(self.lanes, len(self.seen))

    def generated(self, index: int, tokens: int, now: float) -> None:
        """Count tokens of a sample that came now."""
        self.tokens += tokens
        self.add_sample(index)
        self.active.add(index)
        self.rate.add(now, tokens)

    def paused(self, event: TextInserted | ToolRan) -> None:
        """Count a tool run; with a text that the agent writes, a sample waits for the engine once more."""
        match event:
            case TextInserted(_, index):
                self.active.discard(index)
            case ToolRan(_, _, tool_run):
                self.tools[tool_run.status is ToolStatus.OK] += 1

    def time_figure(self, now: float) -> str:
        """The time spent and the time granted."""
        return f"{now - self.begun:,.0f} / {self.allowance:,.0f} s"

    @property
    def samples_figure(self) -> str:
        """How many samples have ended, run, wait and were cancelled."""
        waiting = f" · {self.waiting} waiting" if self.waiting else ""
        cancelled = f" · {self.cancelled} cancelled" if self.cancelled else ""
        return f"{self.done} done · {self.running} running{waiting}{cancelled}"

    def counts(self) -> list[AnswerCount]:
        """Answers so far, those of most samples first; their weights are the business of the voting."""
        ended = self.ended.values()
        samples = Counter(sample.answer for sample in ended if sample.answer is not None)
        guesses = Counter(sample.answer for sample in ended if is_guess(sample))
        counts = [AnswerCount(answer, number, guesses[answer]) for answer, number in samples.items()]
        return sorted(counts, key=lambda count: (-count.samples, count.guesses, count.answer))


class RunState:
    """A run as its events describe it, for views to draw.

    Events may come in any order; those of problems that are not in flight are ignored.
    """

    def __init__(self, problems: int, clock: Callable[[], float], truths: Mapping[str, int | None]) -> None:
        self._problems = problems
        self._clock = clock
        self._truths = truths
        self._begun = clock()
        self._open: dict[str, ProblemState] = {}
        self._solved: dict[str, Solution] = {}
        self._engine_event: tuple[float, str] | None = None
        self._cost = ""  # what the run has cost, as it is shown
        self._lock = threading.Lock()  # frames are drawn on a thread of their own

    def __call__(self, event: Event) -> None:
        """Update the state with an event."""
        with self._lock:
            match event:
                case TextGenerated():  # by far the most: no time is spent on taking it apart
                    if state := self._open.get(event.problem_id):
                        state.generated(event.index, event.tokens, self._clock())
                case ProblemStarted(problem, _, allowance, lanes):
                    now = self._clock()
                    self._open[problem.id] = ProblemState(problem, allowance, lanes, now, TokenRate(now))
                case TextInserted() | ToolRan():
                    if state := self._open.get(event.problem_id):
                        state.paused(event)
                case RequestCharged():
                    self._cost = f"cost {money_text(event.total, event.currency)}"
                case SampleEnded(sample):
                    self._end(sample)
                case ProblemSolved(solution):
                    self._open.pop(solution.problem_id, None)
                    self._solved.pop(solution.problem_id, None)  # a second solution counts once, as the latest
                    self._solved[solution.problem_id] = solution
                case EngineEvent() | RunWarning() | HealthChecked():
                    self._engine_event = self._clock(), event.text

    def _end(self, sample: Sample) -> None:
        if state := self._open.get(sample.problem_id):
            state.ended[sample.index] = sample
            state.add_sample(sample.index)

    def _score(self) -> str:
        right = [is_right(done.answer, self._truths.get(key)) for key, done in self._solved.items()]
        known = len(right) - right.count(None)
        return f"{right.count(True)} of {known} correct" if known else ""

    def _place(self) -> str:
        last = min(self._problems, len(self._solved) + len(self._open))
        first = min(last, len(self._solved) + 1)
        numbers = f"problem {first}" if first == last else f"problems {first}-{last}"
        return f"{numbers} of {self._problems}" if last else f"0 of {self._problems} problems"

    def _engine_text(self, now: float) -> str:
        """The last engine event, if it is fresh."""
        at, text = self._engine_event or (-math.inf, "")
        return text if now - at < _ENGINE_EVENT_SECONDS else ""
