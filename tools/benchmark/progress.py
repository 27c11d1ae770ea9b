"""Show the progress of a benchmark: drawing samples, and grading them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from agent.events import (
    EngineEvent,
    Event,
    HealthChecked,
    Listener,
    ProblemSolved,
    ProblemStarted,
    RunWarning,
    SampleEnded,
    TextGenerated,
)
from agent.types import Problem, SampleEnd
from agent.views.live import ViewOpener


def sampling_view(samples: int, before: int, clock: Callable[[], float] = time.monotonic) -> ViewOpener:
    """Open the view of a run of a number of samples, of which earlier calls have drawn those `before`."""

    @contextmanager
    def show(problems: Sequence[Problem], console: Console) -> Iterator[Listener]:
        with _bar(console) as bar:
            line = bar.add_task("samples", total=samples, completed=before, figures="")
            yield SamplingView(bar, line, len(problems), console, clock)

    return show


@contextmanager
def grading(console: Console, total: int, done: int) -> Iterator[Callable[[], None]]:
    """Open the view of the grading; its function counts one more, and prints every tenth where there is no bar."""
    with _bar(console) as bar:
        line = bar.add_task("grading", total=total, completed=done, figures="")

        def count() -> None:
            nonlocal done
            done += 1
            bar.advance(line)
            if not console.is_terminal and done * 10 // total > (done - 1) * 10 // total:
                console.print(f"{done} of {total} samples graded", highlight=False)

        yield count


class SamplingView:
    """Counts samples in a bar; without a terminal it prints a line for each finished question."""

    def __init__(
        self, bar: Progress, line: TaskID, questions: int, console: Console, clock: Callable[[], float]
    ) -> None:
        self._bar = bar
        self._line = line
        self._questions = questions
        self._console = console
        self._clock = clock
        self._begun = clock()
        self._tokens = 0
        self._closed = 0
        self._started: set[str] = set()  # by this call

    def __call__(self, event: Event) -> None:
        """Count tokens, samples (but for those that are owed again) and questions."""
        match event:
            case TextGenerated():
                self._tokens += event.tokens
                rate = self._tokens / max(self._clock() - self._begun, 1e-9)
                self._bar.update(self._line, figures=f"{self._tokens:,} tokens, {rate:,.0f}/s")
            case ProblemStarted(problem):
                self._started.add(problem.id)
            case SampleEnded(sample):
                if sample.end not in (SampleEnd.ENGINE_ERROR, SampleEnd.CANCELLED):
                    self._bar.advance(self._line)
            case ProblemSolved(solution):
                self._closed += 1
                if solution.problem_id in self._started and not self._console.is_terminal:
                    self._say(f"question {self._closed} of {self._questions}: {self._tokens:,} tokens so far")
            case EngineEvent() | RunWarning() | HealthChecked():
                self._say(event.text)

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def _bar(console: Console) -> Progress:
    """A transient progress line, not shown without a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    return Progress(*columns, console=console, transient=True, redirect_stdout=False, disable=not console.is_terminal)
