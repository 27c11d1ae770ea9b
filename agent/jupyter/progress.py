"""The progress of a run in the output of a notebook's cell; where there is no notebook, that of the command.

Drawn with IPython's own display updates: these reach every front end, where widgets need an extension in each.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

from rich.console import Console

from agent.events import Event, Listener
from agent.types import Problem
from agent.views.live import open_view
from agent.views.state import ProblemState, RunState
from agent.views.table import duration, short

REDRAW_SECONDS = 0.5
_MOST_PROBLEMS = 4  # in flight that are shown


@dataclass(frozen=True, slots=True)
class CellProgress:
    """What a run tells its events, and what is called now and then to draw them, on the thread of the notebook's cell.

    `say` shows what happens while no run is under way, such as the start of the engine.
    """

    listener: Listener
    draw: Callable[[], None]
    say: Callable[[str], None]


@contextmanager
def open_progress(problems: Sequence[Problem], *, shown: bool = True) -> Iterator[CellProgress]:
    """Show a run of the problems for as long as the context lasts, as a notebook or a terminal can; or nothing."""
    if not shown:
        yield CellProgress(_ignore, _nothing, _ignore)
    elif in_notebook():
        view = NotebookView(problems, time.monotonic)
        try:
            yield CellProgress(view, view.draw, view.say)
        finally:
            view.finish()
    else:
        console = Console(stderr=True, force_jupyter=False)
        with open_view(problems, console) as listener:
            yield CellProgress(listener, _nothing, lambda text: console.print(text, markup=False, highlight=False))


def in_notebook() -> bool:
    """Whether this runs in the kernel of a notebook, whose front end shows HTML."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


class NotebookView(RunState):
    """One output of a cell, drawn anew by `draw`; front ends that show no HTML get the same as plain text."""

    def __init__(self, problems: Sequence[Problem], clock: Callable[[], float]) -> None:
        super().__init__(len(problems), clock, {problem.id: problem.answer for problem in problems})
        self._output: Any = None
        self._told = ""
        self._started = False

    def __call__(self, event: Event) -> None:
        """Update the state with an event."""
        self._started = True
        super().__call__(event)

    def say(self, text: str) -> None:
        """Show a sentence until the run begins."""
        self._told = text
        self.draw()

    def draw(self) -> None:
        """Draw the present state in the cell's output."""
        with self._lock:
            html, text = self._frame()
        self._show(html, text)

    def finish(self) -> None:
        """Leave one line in place of the progress."""
        with self._lock:
            line = self._headline(self._clock())
        self._show(f"<div>{escape(line)}</div>", line)

    def _show(self, html: str, text: str) -> None:
        from IPython.display import display

        shown = {"text/html": html, "text/plain": text}
        if self._output is None:
            self._output = display(shown, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._output.update(shown, raw=True)

    def _headline(self, now: float) -> str:
        done = f"{len(self._solved)} of {self._problems} problems solved"
        facts = [done, self._score(), duration(now - self._begun), self._cost]
        return " · ".join(fact for fact in facts if fact)

    def _frame(self) -> tuple[str, str]:
        now = self._clock()
        if not self._started:
            line = f"{self._told} · {duration(now - self._begun)}"
            return f"<div>{escape(line)}</div>", line
        open_problems = list(self._open.values())
        blocks = [_block(state, now) for state in open_problems[:_MOST_PROBLEMS]]
        hidden = len(open_problems) - len(blocks)
        lines = [
            self._headline(now),
            *([f"{hidden} more in flight"] if hidden else []),
            *([self._engine_text(now)] if self._engine_text(now) else []),
        ]
        html = [
            f"<div>{escape(lines[0])}</div>{_bar(len(self._solved), self._problems)}",
            *(html for html, _ in blocks),
            *(f"<div>{escape(line)}</div>" for line in lines[1:]),
        ]
        return "".join(html), "\n".join([lines[0], *(text for _, text in blocks), *lines[1:]])


def _block(state: ProblemState, now: float) -> tuple[str, str]:
    """A problem in flight as HTML and as plain text."""
    title = f"{short(state.problem.id, 20)}  {short(state.problem.text[:1_000], 80)}"
    votes = ", ".join(
        f"{short(str(count.answer), 12)} ({count.samples}{', guessed' if count.guesses == count.samples else ''})"
        for count in state.counts()[:3]
    )
    figures = " · ".join(
        [
            state.time_figure(now),
            state.samples_figure,
            f"votes {votes or 'none yet'}",
            f"{state.tokens:,} tokens, {state.rate.per_second(now):,.0f}/s",
        ]
    )
    bar = _bar(now - state.begun, state.allowance)
    html = f'<div style="margin-top:0.5em"><b>{escape(title)}</b></div>{bar}<div>{escape(figures)}</div>'
    return html, f"{title}\n  {figures}"


def _bar(done: float, whole: float) -> str:
    return f'<progress value="{min(done, whole):.2f}" max="{max(whole, 1e-9):.2f}" style="width:20em"></progress>'


def _ignore(_: object) -> None:
    pass


def _nothing() -> None:
    pass
