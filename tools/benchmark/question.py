"""The vocabulary of the benchmarks: what is asked, what was replied, what it was judged to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.types import Problem


@dataclass(frozen=True, slots=True)
class ProgramTest:
    """One test of a program: what it is given and what it must give, as text (of a function: JSON)."""

    given: str
    wanted: str


@dataclass(frozen=True, slots=True)
class ProgramTests:
    """The tests of a program; of one that is called, `function` names what is called.

    `packed` holds the hidden ones as they are published, because unpacked they fill gigabytes.
    """

    function: str | None
    shown: tuple[ProgramTest, ...]
    packed: str


@dataclass(frozen=True, slots=True)
class BenchmarkQuestion:
    """One question of a set; `truth` is the right answer as text, and empty where `tests` tell what is right."""

    problem: Problem
    truth: str
    tests: ProgramTests | None = None

    @property
    def id(self) -> str:
        """What names it in its set."""
        return self.problem.id


@dataclass(frozen=True, slots=True)
class Completion:
    """A reply to a question, the `index`-th to it; `text` is None where the model did not come to an end."""

    question: str
    index: int
    text: str | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Grade:
    """What a reply is worth: the answer that it gives in one spelling (None: none), whether that is right, and why not.

    Equal answers are votes for the same; a program is no answer that could be voted on.
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
    """The outcome of a benchmark: completions of `model` for some of the set's `questions`, and a verdict on each."""

    set: str
    model: str
    questions: Mapping[str, BenchmarkQuestion]
    completions: Sequence[Completion]
    verdicts: Sequence[GradedCompletion]
