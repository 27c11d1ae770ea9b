"""Listeners that show a run as it happens, drawn on a terminal or told in plain lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Protocol

from rich.console import Console, ConsoleOptions, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from agent.events import EngineEvent, Event, Listener, ProblemSolved, ProblemStarted, TextGenerated
from agent.types import Problem, Solution
from agent.views.state import Board, Flight
from agent.views.table import SolutionTable, duration, is_right, short, votes_text

_HEARTBEAT_SECONDS = 30.0
_BARS_FROM_WIDTH = 70
_VOTE_ROWS = 3  # for a problem that is alone in flight


class ViewOpener(Protocol):
    """Opens a view of a run for as long as a context lasts; `open_view` is one."""

    def __call__(
        self, console: Console, *, problems: int, clock: Callable[[], float], truths: Mapping[str, int | None]
    ) -> AbstractContextManager[Listener]:
        """See `open_view`."""


@contextmanager
def open_view(
    console: Console, *, problems: int, clock: Callable[[], float], truths: Mapping[str, int | None]
) -> Iterator[Listener]:
    """Show a run of so many `problems` on the console for as long as the context lasts.

    On a terminal this is a LiveView, gone when the context ends; elsewhere a PlainView. `clock` gives seconds
    from any origin, `truths` the known answers by problem id.
    """
    if not console.is_interactive or console.options.ascii_only:
        yield PlainView(console, problems, clock, truths)
        return
    view = LiveView(problems, clock, truths)
    # What is written to stdout is the result of a command and must not be turned into the view's stream.
    with Live(view, console=console, refresh_per_second=4, transient=True, redirect_stdout=False):
        yield view


class LiveView(Board):
    """Redraws the problems in flight and the solved ones, cut to what the terminal has room for."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Draw one frame."""
        with self._lock:
            frame = self._frame(options.max_width, options.size.height)
        yield from frame

    def _frame(self, width: int, height: int) -> list[RenderableType]:
        now = self._clock()
        flights = list(self._flights.values())
        vote_rows = _VOTE_ROWS if len(flights) <= 1 else 1
        block_height = vote_rows + 5
        room = height - 4  # less the header, the table's headings and a line for the cursor
        shown = flights[: max(1, (room - min(3, len(self._solved))) // block_height)]
        parts: list[RenderableType] = [self._header(now, len(flights) - len(shown)), Text()]
        for flight in shown:
            parts += [_title(flight.problem), _block(flight, now, width, vote_rows), Text()]
        rows = room - block_height * len(shown)
        if self._solved and rows > 0:
            parts.append(SolutionTable(list(self._solved.values())[-rows:], self._truths))
        return parts

    def _header(self, now: float, hidden: int) -> Text:
        more = f"{hidden} more in flight" if hidden else ""
        facts = [self._place(), self._score(), duration(now - self._begun), more, self._engine_text(now)]
        dot = Text(" · ", no_wrap=True, overflow="ellipsis")
        return dot.join(Text(fact, "bold") for fact in facts if fact)


class PlainView(Board):
    """Writes a line when a problem starts or is closed, and a heartbeat now and then between them."""

    def __init__(
        self, console: Console, problems: int, clock: Callable[[], float], truths: Mapping[str, int | None]
    ) -> None:
        super().__init__(problems, clock, truths)
        self._console = console
        self._last_line = self._begun

    def __call__(self, event: Event) -> None:
        """Take an event in and write its line, if it has one; tokens bring a heartbeat when it is time for one."""
        super().__call__(event)
        match event:
            case TextGenerated():
                if self._flights and self._clock() - self._last_line >= _HEARTBEAT_SECONDS:
                    self._beat()
            case ProblemStarted(problem, _, allowance, lanes):
                self._say(f"{self._place()}: {short(problem.id, 40)}", f"{allowance:,.0f} s", f"{lanes} samples")
            case ProblemSolved(solution):
                self._say_solved(solution)
            case EngineEvent(text):
                self._say(text)

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
        )

    def _beat(self) -> None:
        now = self._clock()
        flight = next(iter(self._flights.values()))
        leaders = flight.counts()[:1]
        self._say(
            short(flight.problem.id, 40),
            _time_figure(flight, now),
            _samples_figure(flight),
            "".join(f"leading {leader.answer} with {leader.samples}" for leader in leaders),
            f"{flight.tokens:,} tokens, {flight.rate.per_second(now):,.0f}/s",
            f"{len(self._flights) - 1} more in flight" if len(self._flights) > 1 else "",
        )

    def _say(self, *facts: str) -> None:
        self._last_line = now = self._clock()
        line = " · ".join(fact for fact in facts if fact)
        # A run goes on where nobody reads the stream any more; rich would end the program and mute stdout.
        with suppress(OSError):
            self._console.file.write(f"[{duration(now - self._begun)}] {line}\n")
            self._console.file.flush()


def _title(problem: Problem) -> Text:
    # No terminal shows more of it, and a frame must not cost more for a longer text.
    parts = (short(problem.id, 12), "bold cyan"), "  ", short(problem.text[:1_000], 500)
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")


def _block(flight: Flight, now: float, width: int, vote_rows: int) -> Table:
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

    used, lanes = (now - flight.begun) / max(flight.allowance, 1e-9), max(flight.lanes, 1)
    add(Text("  time", "dim"), used, "cyan", _time_figure(flight, now))
    add(Text("  samples", "dim"), len(flight.ended) / lanes, "blue", _samples_figure(flight))
    counts = flight.counts()[:vote_rows]
    for count in counts:
        forced = f" ({count.forced} forced)" if count.forced else ""
        label = Text(f"  {short(str(count.answer), 10)}", "bold")
        add(label, count.samples / lanes, "magenta", f"votes {count.samples}{forced}")
    for _ in range(vote_rows - len(counts)):
        grid.add_row(Text())
    tokens = f"{flight.tokens:,} · {flight.rate.per_second(now):,.0f}/s"
    tools = f"tool runs {flight.tools[True]} ok · {flight.tools[False]} failed"
    grid.add_row(Text("  tokens", "dim"), Text(tokens), *([Text(tools)] if wide else []))
    return grid


def _time_figure(flight: Flight, now: float) -> str:
    return f"{now - flight.begun:,.0f} / {flight.allowance:,.0f} s"


def _samples_figure(flight: Flight) -> str:
    cancelled = f" · {flight.cancelled} cancelled" if flight.cancelled else ""
    return f"{flight.done} done · {flight.running} running{cancelled}"
