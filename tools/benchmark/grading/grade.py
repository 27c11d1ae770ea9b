"""Grade completions by the rules of their set, and cache the grades."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

from pydantic import TypeAdapter
from rich.console import Console

from agent.chat.task import CompetitionTask
from agent.errors import JournalError
from tools.benchmark.grading.expressions import MathGrader
from tools.benchmark.grading.programs import ProgramGrader
from tools.benchmark.progress import grading
from tools.benchmark.question import BenchmarkQuestion, Completion, Grade, GradedCompletion
from tools.benchmark.reading.boxes import ends_in_box
from tools.benchmark.reading.thinking import behind_thinking
from tools.benchmark.sets.known import BenchmarkSet
from tools.benchmark.sets.tasks import CHOICE, EXPRESSION

_AT_ONCE = os.cpu_count() or 1
_VERDICT = TypeAdapter(GradedCompletion)


class Grader(Protocol):
    """Grades replies."""

    async def grade(self, question: BenchmarkQuestion, text: str) -> Grade:
        """Return the grade of a finished reply. Never raises because of the reply's contents."""

    async def close(self) -> None:
        """Free its resources. Idempotent."""


class ReadingGrader:
    """An answer is right if it equals the truth, character by character."""

    def __init__(self, read: Callable[[str], int | str | None]) -> None:
        self._read = read

    async def grade(self, question: BenchmarkQuestion, text: str) -> Grade:
        """Extract the answer and compare it."""
        answer = None if ends_in_box(text) else self._read(text)
        if answer is None:
            return Grade(None, False, "no answer")
        return Grade(str(answer), str(answer) == question.truth)

    async def close(self) -> None:
        """Do nothing."""


def open_grader(chosen: BenchmarkSet) -> Grader:
    """Create the grader of a set. Raises InputError if a required library is missing."""
    if chosen.task is EXPRESSION:
        return MathGrader()
    if isinstance(chosen.task, CompetitionTask) or chosen.task is CHOICE:
        return ReadingGrader(chosen.task.read)
    return ProgramGrader()


class VerdictFile:
    """Verdicts in a file of JSON lines, each written as soon as it is known; a torn line is judged again."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[tuple[str, int], GradedCompletion]:
        """The verdicts by question and index. Raises JournalError if the file cannot be read."""
        verdicts = {}
        try:
            lines = self._path.read_bytes().splitlines() if self._path.exists() else []
        except OSError as error:
            raise JournalError(f"{self._path} cannot be read ({error.strerror}): make it readable") from error
        for line in lines:
            try:
                verdict = _VERDICT.validate_json(line)
            except ValueError:
                continue
            verdicts[verdict.question, verdict.index] = verdict
        return verdicts

    def add(self, verdict: GradedCompletion) -> None:
        """Write one more. Raises JournalError if that fails."""
        # The line break comes first, so that a line that was torn by a kill spoils no other.
        line = f"\n{json.dumps(asdict(verdict))}"
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise JournalError(f"{self._path} cannot be written ({error.strerror}): free space and --resume") from error


def grade_completions(
    chosen: BenchmarkSet,
    questions: Mapping[str, BenchmarkQuestion],
    completions: Sequence[Completion],
    store: VerdictFile | None,
    console: Console,
) -> list[GradedCompletion]:
    """A verdict for each completion, in their order; those that the store has are not made again.

    Raises AgentError for what the user has to fix.
    """
    verdicts = store.read() if store else {}
    owed = [completion for completion in completions if (completion.question, completion.index) not in verdicts]
    with grading(console, len(completions), len(completions) - len(owed)) as count:

        def done(verdict: GradedCompletion) -> None:
            verdicts[verdict.question, verdict.index] = verdict
            if store:
                store.add(verdict)
            count()

        asyncio.run(_grade_all(chosen, questions, owed, done))
    return [verdicts[completion.question, completion.index] for completion in completions]


async def _grade_all(
    chosen: BenchmarkSet,
    questions: Mapping[str, BenchmarkQuestion],
    completions: Sequence[Completion],
    done: Callable[[GradedCompletion], None],
) -> None:
    """Grade the completions, several at once, and tell each verdict as it comes."""
    grader = open_grader(chosen)
    waiting = list(reversed(completions))

    async def work() -> None:
        while waiting:
            completion = waiting.pop()
            grade = Grade(None, False, completion.note)
            if completion.text is not None:
                grade = await grader.grade(questions[completion.question], behind_thinking(completion.text))
            done(GradedCompletion(completion.question, completion.index, grade))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(_AT_ONCE):
                group.create_task(work())
    except ExceptionGroup as group_error:
        raise group_error.exceptions[0] from None
    finally:
        await grader.close()
