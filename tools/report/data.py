"""A recorded run, problem by problem: outcomes, and when each lane was busy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from agent.events import EngineEvent
from agent.journal.journal import RunRecord, read_run
from agent.journal.lines import RecordedStart
from agent.metrics import ClosedProblem, attempts_of, is_right
from agent.types import Problem, Sample, Solution
from agent.views.totals import Totals, totals

Span = tuple[float, float]
"""Start and end in seconds since the run began."""


class ProblemStatus(StrEnum):
    """The outcome of a problem."""

    RIGHT = "right"
    WRONG = "wrong"
    NO_ANSWER = "no answer"
    UNKNOWN = "unknown"  # answered, but the correct answer is unknown
    OPEN = "not closed"  # the run has recorded no solution


class VoteStatus(StrEnum):
    """Whether one sample's vote was right."""

    RIGHT = "right"
    WRONG = "wrong"
    NO_VOTE = "no vote"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ProblemRecord:
    """The record of one problem; its samples in the order of their index and start."""

    problem: Problem
    solution: Solution | None
    start: RecordedStart | None
    samples: tuple[Sample, ...]

    @property
    def outcome(self) -> ProblemStatus:
        """The outcome, as far as the correct answer is known."""
        if self.solution is None:
            return ProblemStatus.OPEN
        if self.solution.answer is None:
            return ProblemStatus.NO_ANSWER
        right = is_right(self.solution.answer, self.problem.answer)
        return ProblemStatus.UNKNOWN if right is None else ProblemStatus.RIGHT if right else ProblemStatus.WRONG

    @property
    def closed(self) -> ClosedProblem | None:
        """What the figures look at; None for one that is not closed."""
        return ClosedProblem(self.problem, self.solution, self.samples) if self.solution is not None else None

    @property
    def span(self) -> Span:
        """From its start to its end; for a problem that is not closed, from the first to the last sample."""
        if self.solution is not None:
            return self.solution.at - self.solution.seconds, self.solution.at
        begins = [sample.started for sample in self.samples]
        ends = [sample.started + sample.seconds for sample in self.samples]
        return min(begins, default=0.0), max(ends, default=0.0)

    @property
    def counted(self) -> tuple[Sample, ...]:
        """The samples that count as attempts."""
        return attempts_of(self.samples)

    @property
    def allowance(self) -> float | None:
        """Seconds that the time bank granted; None where neither the start nor the solution was recorded."""
        if self.solution is not None:
            return self.solution.allowance
        return self.start.allowance if self.start else None

    def verdict(self, sample: Sample) -> VoteStatus:
        """Return whether the vote of one of its samples was right."""
        if sample.answer is None:
            return VoteStatus.NO_VOTE
        right = is_right(sample.answer, self.problem.answer)
        return VoteStatus.UNKNOWN if right is None else VoteStatus.RIGHT if right else VoteStatus.WRONG


@dataclass(frozen=True, slots=True)
class ReportedRun:
    """A run to report on: its name (from its directory), its record and its problems in the order of their file."""

    name: str
    record: RunRecord
    problems: tuple[ProblemRecord, ...]
    sums: Totals

    @property
    def samples(self) -> Iterator[tuple[ProblemRecord, Sample]]:
        """Yield all samples with their problem."""
        return ((problem, sample) for problem in self.problems for sample in problem.samples)

    @property
    def engine_events(self) -> tuple[EngineEvent, ...]:
        """The engine events, in order of time."""
        return tuple(sorted(self.record.engine_events, key=lambda event: event.at))


def load_run(directory: Path) -> ReportedRun:
    """Read a run. Raises InputError if the directory contains none."""
    record = read_run(directory)
    solutions = {solution.problem_id: solution for solution in record.solutions}
    starts = {start.problem_id: start for start in record.starts}
    samples: dict[str, list[Sample]] = {}
    for sample in sorted(record.samples, key=lambda sample: (sample.index, sample.started)):
        samples.setdefault(sample.problem_id, []).append(sample)
    problems = tuple(
        ProblemRecord(problem, solutions.get(problem.id), starts.get(problem.id), tuple(samples.get(problem.id, ())))
        for problem in record.problems
    )
    closed = [problem.solution for problem in problems if problem.solution is not None]
    return ReportedRun(
        directory.resolve().name, record, problems, totals(record.problems, closed, record.samples, record.config.rules)
    )


def named_apart(runs: Sequence[ReportedRun]) -> list[ReportedRun]:
    """The runs, numbered behind their names where two directories are called alike, as those of notebooks are."""
    if len({run.name for run in runs}) == len(runs):
        return list(runs)
    return [replace(run, name=f"{run.name}-{number}") for number, run in enumerate(runs, 1)]


@dataclass(frozen=True, slots=True)
class LaneTurn:
    """A turn of a lane in time: when the engine generated it, then when its Python ran, if any."""

    generating: Span
    tool: Span | None


def lane_turns(sample: Sample) -> list[LaneTurn]:
    """Return when each turn was generated and its code ran, consecutively from the sample's start.

    Turns record how long they took, not when; what little time lies between them (taking a Python session, waiting
    for an engine that restarts) is missing, so the last one ends a little before the sample does.
    """
    turns = []
    now = sample.started
    for turn in sample.turns:
        generating = (now, now + turn.seconds)
        now = generating[1]
        tool = None
        if turn.tool_run is not None:
            tool = (now, now + turn.tool_run.seconds)
            now = tool[1]
        turns.append(LaneTurn(generating, tool))
    return turns


@dataclass(frozen=True, slots=True)
class TimeSplit:
    """A breakdown of wall time in seconds: the three parts add up to it.

    `generating`: at least one lane was in a turn, so waited for or received tokens. `tools`: no lane was, and at
    least one ran Python. `other`: neither. `lanes` is the mean number of lanes in a turn while generating.
    """

    generating: float
    tools: float
    other: float
    lanes: float

    @property
    def wall(self) -> float:
        """All of it."""
        return self.generating + self.tools + self.other


def time_split(samples: Iterable[Sample], spans: Sequence[Span]) -> TimeSplit:
    """Return how the time within `spans` was spent; overlapping spans (concurrent problems) count once."""
    within = union(spans)
    turns = [turn for sample in samples for turn in lane_turns(sample)]
    generating = intersection(union(turn.generating for turn in turns), within)
    busy = intersection(union([*generating, *(turn.tool for turn in turns if turn.tool)]), within)
    wall, wrote, worked = total(within), total(generating), total(busy)
    lane_seconds = sum(total(intersection([turn.generating], within)) for turn in turns)
    return TimeSplit(wrote, worked - wrote, wall - worked, lane_seconds / wrote if wrote else 0.0)


def union(spans: Iterable[Span]) -> list[Span]:
    """Return the union of spans as sorted, disjoint spans; empty spans are dropped."""
    merged: list[Span] = []
    for begin, end in sorted(span for span in spans if span[0] < span[1]):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def intersection(first: Sequence[Span], second: Sequence[Span]) -> list[Span]:
    """Return the intersection of two unions."""
    both = []
    i = j = 0
    while i < len(first) and j < len(second):
        begin, end = max(first[i][0], second[j][0]), min(first[i][1], second[j][1])
        if begin < end:
            both.append((begin, end))
        if first[i][1] < second[j][1]:
            i += 1
        else:
            j += 1
    return both


def total(spans: Iterable[Span]) -> float:
    """Return the length of a union."""
    return sum(end - begin for begin, end in spans)
