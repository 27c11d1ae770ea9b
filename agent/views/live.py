"""The view of a run under way: redrawn on a terminal, or plain lines where there is none."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console, ConsoleOptions, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from agent.events import Listener
from agent.types import Problem
from agent.views.plain import PlainView
from agent.views.state import ProblemState, RunState
from agent.views.table import SolutionTable, duration, short

_BARS_FROM_WIDTH = 70
_VOTE_ROWS = 3  # for a problem that is alone in flight


ViewOpener = Callable[[Sequence[Problem], Console], AbstractContextManager[Listener]]
"""Opens a view of a run of problems for as long as a context lasts; `open_view` is one."""


@contextmanager
def open_view(
    problems: Sequence[Problem], console: Console | None = None, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[Listener]:
    """Show a run of the problems for as long as the context lasts, on standard error where no console is given.

    On a terminal this is a LiveView, gone when the context ends; elsewhere a PlainView. `clock` gives seconds from any
    origin.
    """
    console = console or Console(stderr=True)
    truths = {problem.id: problem.answer for problem in problems}
    if not console.is_interactive or console.options.ascii_only:
        yield PlainView(console, len(problems), clock, truths)
        return
    view = LiveView(len(problems), clock, truths)
    # What is written to stdout is the result of a command and must not be turned into the view's stream.
    with Live(view, console=console, refresh_per_second=4, transient=True, redirect_stdout=False):
        yield view


class LiveView(RunState):
    """Redraws the problems in flight and the solved ones, cut to what the terminal has room for."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Draw one frame."""
        with self._lock:
            frame = self._frame(options.max_width, options.size.height)
        yield from frame

    def _frame(self, width: int, height: int) -> list[RenderableType]:
        now = self._clock()
        open_problems = list(self._open.values())
        vote_rows = _VOTE_ROWS if len(open_problems) <= 1 else 1
        block_height = vote_rows + 5
        room = height - 4  # less the header, the table's headings and a line for the cursor
        shown = open_problems[: max(1, (room - min(3, len(self._solved))) // block_height)]
        parts: list[RenderableType] = [self._header(now, len(open_problems) - len(shown)), Text()]
        for state in shown:
            parts += [_title(state.problem), _block(state, now, width, vote_rows), Text()]
        rows = room - block_height * len(shown)
        if self._solved and rows > 0:
            parts.append(SolutionTable(list(self._solved.values())[-rows:], self._truths))
        return parts

    def _header(self, now: float, hidden: int) -> Text:
        more = f"{hidden} more in flight" if hidden else ""
        facts = [self._place(), self._score(), duration(now - self._begun), self._cost, more, self._engine_text(now)]
        dot = Text(" · ", no_wrap=True, overflow="ellipsis")
        return dot.join(Text(fact, "bold") for fact in facts if fact)


def _title(problem: Problem) -> Text:
    # No terminal shows more of it, and a frame must not cost more for a longer text.
    parts = (short(problem.id, 12), "bold cyan"), "  ", short(problem.text[:1_000], 500)
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")


def _block(state: ProblemState, now: float, width: int, vote_rows: int) -> Table:
    """Time, samples, votes and tokens of a problem in flight, always in `vote_rows` + 3 lines."""
    wide = width >= _BARS_FROM_WIDTH
    bar = min(48, width * 3 // 10)
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    for fixed in (12, bar) if wide else (9,):
        grid.add_column(width=fixed, no_wrap=True, overflow="ellipsis")
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")  # the figures give way first

    def add(label: Text, share: float, style: str, figure: str) -> None:
        meter = ProgressBar(1.0, share, width=bar, complete_style=style, finished_style=style)
        grid.add_row(label, *([meter] if wide else []), Text(figure))

    used, lanes = (now - state.begun) / max(state.allowance, 1e-9), max(state.lanes, 1)
    add(Text("  time", "dim"), used, "cyan", state.time_figure(now))
    add(Text("  samples", "dim"), len(state.ended) / lanes, "blue", state.samples_figure)
    counts = state.counts()[:vote_rows]
    for count in counts:
        guessed = f" ({count.guesses} guessed)" if count.guesses else ""
        label = Text(f"  {short(str(count.answer), 10)}", "bold")
        add(label, count.samples / lanes, "magenta", f"votes {count.samples}{guessed}")
    for _ in range(vote_rows - len(counts)):
        grid.add_row(Text())
    tokens = f"{state.tokens:,} · {state.rate.per_second(now):,.0f}/s"
    tools = f"tool runs {state.tools[True]} ok · {state.tools[False]} failed"
    grid.add_row(Text("  tokens", "dim"), Text(tokens), *([Text(tools)] if wide else []))
    return grid
