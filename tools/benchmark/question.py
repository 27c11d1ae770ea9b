"""The vocabulary of the benchmarks: questions, completions and grades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.types import Problem


@dataclass(frozen=True, slots=True)
class ProgramTest:
    """One test of a program: input and expected output, as text (for a function: JSON)."""

    given: str
    wanted: str


@dataclass(frozen=True, slots=True)
class ProgramTests:
    """The tests of a program; `function` is the function to call, None for a program that reads standard input.

    `packed` holds the hidden ones as they are published, because unpacked they fill gigabytes.
    """

    function: str | None
    shown: tuple[ProgramTest, ...]
    packed: str


@dataclass(frozen=True, slots=True)
class BenchmarkQuestion:
    """One question of a set; `truth` is the correct answer as text, empty where `tests` decide."""

    problem: Problem
    truth: str
    tests: ProgramTests | None = None

    @property
    def id(self) -> str:
        """The id of the question in its set."""
        return self.problem.id


@dataclass(frozen=True, slots=True)
class Completion:
    """The `index`-th reply to a question; `text` is None if the model did not finish.

    `tokens` and `seconds` are those of drawing it, 0 for one that was made elsewhere.
    """

    question: str
    index: int
    text: str | None
    note: str = ""
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Grade:
    """The grade of a reply: its normalized answer (None: no answer), whether that is right, and why not.

    Equal answers are votes for the same; programs are not voted on.
    """

    answer: str | None
    right: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class GradedCompletion:
    """The grade of one completion."""

    question: str
    index: int
    grade: Grade


@dataclass(frozen=True, slots=True)
class BenchmarkResult:
    """The result of a benchmark: completions of `model` for some of the set's `questions`, with their grades."""

    set: str
    model: str
    questions: Mapping[str, BenchmarkQuestion]
    completions: Sequence[Completion]
    verdicts: Sequence[GradedCompletion]
