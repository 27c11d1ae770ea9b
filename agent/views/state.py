"""What has happened in a run so far, as views draw it."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from agent.types import Problem, Sample, SampleEnd, Solution, ToolRun, ToolStatus
from agent.views.table import is_right

_RATE_SECONDS = 5.0
_RATE_STEP_SECONDS = 0.1
_NOTICE_SECONDS = 60.0  # for which a word about the engine is shown


class Rate:
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


class Count(NamedTuple):
    """How many ended samples gave an answer, and how many of them were forced to."""

    answer: int
    samples: int
    forced: int


@dataclass(slots=True)
class Flight:
    """A problem in flight, as far as its events have told."""

    problem: Problem
    allowance: float
    lanes: int
    begun: float
    rate: Rate
    tokens: int = 0
    tools: Counter[bool] = field(default_factory=Counter)  # by success
    seen: set[int] = field(default_factory=set)  # samples that have been heard of
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
        """Samples that have not ended."""
        return max(0, self.lanes - len(self.ended))

    def hear(self, index: int) -> None:
        """A sample has told something; where nobody leads, more are started than were announced."""
        self.seen.add(index)
        self.lanes = max(self.lanes, len(self.seen))

    def counts(self) -> list[Count]:
        """Answers so far, those of most samples first; their weights are the business of the voting."""
        voters = [(sample.answer, sample.forced) for sample in self.ended.values()]
        samples = Counter(answer for answer, _ in voters if answer is not None)
        forced = Counter(answer for answer, forced in voters if forced)
        counts = [Count(answer, number, forced[answer]) for answer, number in samples.items()]
        return sorted(counts, key=lambda count: (-count.samples, count.forced, count.answer))


class Board:
    """What views draw from. Events may come in any order; those of problems not in flight are ignored."""

    def __init__(self, problems: int, clock: Callable[[], float], truths: Mapping[str, int | None]) -> None:
        self._problems = problems
        self._clock = clock
        self._truths = truths
        self._begun = clock()
        self._flights: dict[str, Flight] = {}
        self._solved: dict[str, Solution] = {}
        self._notice: tuple[float, str] | None = None
        self._lock = threading.Lock()  # frames are drawn on a thread of their own

    def problem_started(self, problem: Problem, prompt: str, allowance: float, lanes: int) -> None:
        """Take the problem in."""
        now = self._clock()
        with self._lock:
            self._flights[problem.id] = Flight(problem, allowance, lanes, now, Rate(now))

    def tokens_received(self, problem_id: str, index: int, tokens: int) -> None:
        """Count the tokens."""
        now = self._clock()
        with self._lock:
            if flight := self._flights.get(problem_id):
                flight.tokens += tokens
                flight.hear(index)
                flight.rate.add(now, tokens)

    def text_written(self, problem_id: str, index: int, text: str, *, inserted: bool) -> None:
        """Not kept: views draw counts."""

    def tool_ran(self, problem_id: str, index: int, tool_run: ToolRun) -> None:
        """Count the tool run."""
        with self._lock:
            if flight := self._flights.get(problem_id):
                flight.tools[tool_run.status is ToolStatus.OK] += 1

    def sample_ended(self, sample: Sample) -> None:
        """Keep the sample for its answer and its end."""
        with self._lock:
            if flight := self._flights.get(sample.problem_id):
                flight.ended[sample.index] = sample
                flight.hear(sample.index)

    def engine_noticed(self, text: str, at: float) -> None:
        """Keep the word for a while."""
        with self._lock:
            self._notice = (self._clock(), text)

    def problem_solved(self, solution: Solution) -> None:
        """Move the problem from those in flight to the solved ones."""
        with self._lock:
            self._flights.pop(solution.problem_id, None)
            self._solved.pop(solution.problem_id, None)  # a second solution counts once, as the latest
            self._solved[solution.problem_id] = solution

    def _score(self) -> str:
        right = [is_right(done.answer, self._truths.get(key)) for key, done in self._solved.items()]
        known = len(right) - right.count(None)
        return f"{right.count(True)} of {known} correct" if known else ""

    def _place(self) -> str:
        last = min(self._problems, len(self._solved) + len(self._flights))
        first = min(last, len(self._solved) + 1)
        numbers = f"problem {first}" if first == last else f"problems {first}-{last}"
        return f"{numbers} of {self._problems}" if last else f"0 of {self._problems} problems"

    def _word(self, now: float) -> str:
        """The last word about the engine, if it is fresh."""
        return self._notice[1] if self._notice and now - self._notice[0] < _NOTICE_SECONDS else ""
