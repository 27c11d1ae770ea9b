"""A run under way in plain lines, for where there is no terminal to redraw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

from rich.console import Console

from agent.events import EngineEvent, Event, HealthChecked, ProblemSolved, ProblemStarted, RunWarning, TextGenerated
from agent.metrics import is_right
from agent.types import Solution
from agent.views.state import RunState
from agent.views.table import duration, short
from agent.views.verdict import votes_text

_HEARTBEAT_SECONDS = 30.0


class PlainView(RunState):
    """Writes a line when a problem starts or is closed, and a heartbeat now and then between them."""

    def __init__(
        self, console: Console, problems: int, clock: Callable[[], float], truths: Mapping[str, int | None]
    ) -> None:
        super().__init__(problems, clock, truths)
        self._console = console
        self._last_line = self._begun

    def __call__(self, event: Event) -> None:
        """Update the state and write the event's line, if it has one; tokens bring a heartbeat when one is due."""
        super().__call__(event)
        match event:
            case TextGenerated():
                if self._open and self._clock() - self._last_line >= _HEARTBEAT_SECONDS:
                    self._beat()
            case ProblemStarted(problem, _, allowance, lanes):
                self._say(f"{self._place()}: {short(problem.id, 40)}", f"{allowance:,.0f} s", f"{lanes} samples")
            case ProblemSolved(solution):
                self._say_solved(solution)
            case EngineEvent() | RunWarning() | HealthChecked():
                self._say(event.text)

    def _say_solved(self, solution: Solution) -> None:
        right = is_right(solution.answer, self._truths.get(solution.problem_id))
        self._say(
            f"closed {short(solution.problem_id, 40)}",
            "no answer" if solution.answer is None else f"answer {solution.answer}",
            {True: "right", False: "wrong", None: ""}[right],
            f"votes {votes_text(solution)}" if solution.tally.votes else "",
            f"{solution.seconds:,.0f} / {solution.allowance:,.0f} s",
            f"{solution.tokens:,} tokens",
            str(solution.stop),
            self._score(),
            self._cost,
        )

    def _beat(self) -> None:
        now = self._clock()
        state = next(iter(self._open.values()))
        leaders = state.counts()[:1]
        self._say(
            short(state.problem.id, 40),
            state.time_figure(now),
            state.samples_figure,
            "".join(f"leading {leader.answer} with {leader.samples}" for leader in leaders),
            f"{state.tokens:,} tokens, {state.rate.per_second(now):,.0f}/s",
            f"{len(self._open) - 1} more in flight" if len(self._open) > 1 else "",
            self._cost,
        )

    def _say(self, *facts: str) -> None:
        self._last_line = now = self._clock()
        line = " · ".join(fact for fact in facts if fact)
        # A run continues where nobody reads the stream any more; rich would end the program and mute stdout.
        with suppress(OSError):
            self._console.file.write(f"[{duration(now - self._begun)}] {line}\n")
            self._console.file.flush()
