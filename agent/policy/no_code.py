"""Notices a run whose samples might run Python and do not: the model is asked for it in a way that it does not know."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from agent.events import Event, Listener, ProblemSolved, RunWarning, SampleEnded
from agent.types import Sample, SampleEnd

FIRST_PROBLEMS = 3
"""Problems after which a run is told that no sample has run code."""
LEAST_SAMPLES = 8
"""Samples that must have ended by then, those left aside that were cut short from outside."""
_CUT_SHORT = (SampleEnd.CANCELLED, SampleEnd.DEADLINE, SampleEnd.ENGINE_ERROR, SampleEnd.INTERNAL_ERROR)


class NoCodeWatch:
    """Looks at the samples of the first problems; warns once where none of them has run code."""

    def __init__(self) -> None:
        self._decided = False
        self._samples = 0
        self._problems = 0

    def resume(self, samples: Iterable[Sample], problems: int) -> None:
        """Take what an interrupted run has recorded, and so many problems that it closed: it has told what was due."""
        for sample in samples:
            self._count(sample)
        self._problems += problems
        self._decided |= self._is_due

    def watched(self, emit: Listener, family: str, clock: Callable[[], float]) -> Listener:
        """A listener that passes each event on, and behind it the warning, where that is due.

        `family` is how the model is asked for code, "" where it is not. `clock` gives seconds since the run began.
        """

        if not family:
            return emit

        def listener(event: Event) -> None:
            emit(event)
            if self._decided:
                return
            if isinstance(event, SampleEnded):
                self._count(event.sample)
            elif isinstance(event, ProblemSolved):
                self._problems += 1
                if self._is_due:
                    self._decided = True
                    emit(RunWarning(self._warning(family), clock()))

        return listener

    def _count(self, sample: Sample) -> None:
        self._decided |= bool(sample.tool_runs)
        self._samples += sample.end not in _CUT_SHORT

    @property
    def _is_due(self) -> bool:
        return self._problems >= FIRST_PROBLEMS and self._samples >= LEAST_SAMPLES

    def _warning(self, family: str) -> str:
        return (
            f"none of {self._samples} samples at the first {self._problems} problems ran Python: set sample.family to "
            f"another way of calling it than {family}, the one that the model was trained for (auto finds it) or one "
            "with hints (qwq-hint is QwQ's); or set sample.tools=false"
        )
