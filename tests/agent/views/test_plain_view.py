"""The plain view, the choice between it and the live one, and that no events make either of them fail."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from agent.events import Listener, ProblemSolved, ProblemStarted, SampleEnded, TextGenerated, ToolRan
from agent.types import Problem, SampleEnd, ToolRun, ToolStatus
from agent.views.live import LiveView, open_view
from agent.views.plain import PlainView
from tests.support.view_events import LATEX, TRUTHS, Clock, clock, frame, sample, solution, terminal, written

__all__ = ["clock"]


class TestPlainView:
    @pytest.fixture
    def console(self) -> Console:
        return Console(file=io.StringIO(), width=80)

    @pytest.fixture
    def plain(self, console: Console, clock: Clock) -> PlainView:
        return PlainView(console, 10, clock, TRUTHS)

    def test_a_line_at_the_start_and_one_at_the_end(self, plain: PlainView, console: Console, clock: Clock) -> None:
        plain(ProblemStarted(LATEX, "", 60.0, 8))
        plain(TextGenerated("a", 0, "", 100))
        plain(SampleEnded(sample(0, 42)))
        clock.now += 12.0
        plain(ProblemSolved(solution("a", {42: 5, 1: 2})))
        plain(ProblemSolved(solution("b", {})))
        plain(ProblemSolved(solution("c", {3: 1})))
        assert written(console).splitlines() == [
            "[0:00:00] problem 1 of 10: a · 60 s · 8 samples",
            "[0:00:12] closed a · answer 42 · right · votes 5/7 · next 2 · 41 / 60 s · 12,345 tokens · margin"
            " · 1 of 1 correct",
            "[0:00:12] closed b · no answer · wrong · 41 / 60 s · 12,345 tokens · margin · 1 of 2 correct",
            "[0:00:12] closed c · answer 3 · votes 1/1 · 41 / 60 s · 12,345 tokens · margin · 1 of 2 correct",
        ]

    def test_a_heartbeat_at_most_every_thirty_seconds(self, plain: PlainView, console: Console, clock: Clock) -> None:
        plain(ProblemStarted(LATEX, "", 60.0, 8))
        plain(ProblemStarted(Problem("b", ""), "", 60.0, 8))
        for index in range(3):
            plain(SampleEnded(sample(index, 42)))
        for _ in range(6_500):
            clock.now += 0.01
            plain(TextGenerated("a", 3, "", 2))
        beats = written(console).splitlines()[2:]
        assert len(beats) == 2
        assert beats[0].startswith("[0:00:30] a · 30 / 60 s · 3 done · 1 running · 4 waiting · leading 42 with 3 · 6,")
        assert beats[0].endswith("1 more in flight")
        assert beats[1].startswith("[0:01:00]")

    def test_an_id_cannot_forge_a_line(self, plain: PlainView, console: Console) -> None:
        plain(ProblemStarted(Problem("x\n[0:00:00] solved\x1b[2J", ""), "", 60.0, 8))
        assert len(written(console).splitlines()) == 1
        assert "\x1b" not in written(console)

    def test_a_run_continues_when_nobody_reads(self, clock: Clock) -> None:
        class Gone(io.StringIO):
            def write(self, text: str) -> int:
                raise BrokenPipeError

        plain = PlainView(Console(file=Gone()), 10, clock, TRUTHS)
        plain(ProblemStarted(LATEX, "", 60.0, 8))
        plain(ProblemSolved(solution("a", {42: 1})))


class TestOpenView:
    def test_a_terminal_gets_the_live_view_and_is_left_clean(self, clock: Clock) -> None:
        console = terminal()
        with open_view([LATEX], console, clock=clock) as view:
            assert isinstance(view, LiveView)
            view(ProblemStarted(LATEX, "", 60.0, 8))
        told = written(console)
        assert "triangle with $[ABC] = 12$" in told
        height = len(frame(view))
        assert told.endswith("\x1b[?25h\r" + "\x1b[1A\x1b[2K" * height)  # cursor shown, every line erased

    def test_it_is_left_clean_by_an_error_too(self, clock: Clock) -> None:
        console = terminal()
        with pytest.raises(KeyError), open_view([LATEX], console, clock=clock):
            raise KeyError
        assert "\x1b[?25h" in written(console)

    def test_stdout_stays_what_it_is(self, clock: Clock) -> None:
        before = sys.stdout
        with open_view([LATEX], terminal(), clock=clock):
            assert sys.stdout is before

    @pytest.mark.parametrize(
        "console",
        [
            Console(file=io.StringIO()),
            Console(file=io.StringIO(), force_terminal=True, _environ={"TERM": "dumb"}),
            Console(file=io.TextIOWrapper(io.BytesIO(), "ascii"), force_terminal=True, _environ={"TERM": "xterm"}),
        ],
        ids=["no terminal", "dumb terminal", "no unicode"],
    )
    def test_elsewhere_lines_are_written(self, console: Console, clock: Clock) -> None:
        with open_view([LATEX], console, clock=clock) as view:
            assert isinstance(view, PlainView)


STEPS = st.lists(
    st.tuples(
        st.floats(0, 40),
        st.sampled_from(["start", "tokens", "tool", "sample", "solve"]),
        st.sampled_from(["a", "b", "c", "[red]d[/]", "é\x1b[31m\n"]) | st.text(max_size=8),
        st.integers(0, 100),
        st.none() | st.integers(),
        st.text(),
    ),
    max_size=30,
)
Step = tuple[float, str, str, int, int | None, str]


def play(view: Listener, clock: Clock, steps: Sequence[Step]) -> None:
    for wait, kind, name, number, answer, text in steps:
        clock.now += wait
        match kind:
            case "start":
                view(ProblemStarted(Problem(name, text), text, wait, number))
            case "tokens":
                view(TextGenerated(name, number, "", number))
            case "tool":
                status = list(ToolStatus)[number % len(ToolStatus)]
                view(ToolRan(name, number, ToolRun(text, text, status, wait)))
            case "sample":
                end = list(SampleEnd)[number % len(SampleEnd)]
                view(SampleEnded(sample(number, answer, end, forced=number > 50, problem_id=name)))
            case "solve":
                view(ProblemSolved(solution(name, {} if answer is None else {answer: number, 1: 0})))


class TestAnyEvents:
    @settings(deadline=None)
    @given(STEPS, st.integers(1, 200), st.integers(1, 60))
    def test_no_order_of_events_breaks_a_frame(self, steps: list[Step], width: int, height: int) -> None:
        clock = Clock()
        view = LiveView(3, clock, TRUTHS)
        play(view, clock, steps)
        lines = frame(view, width, height)
        assert all(cell_len(line) <= width for line in lines)
        assert len(lines) <= max(height - 1, 10)

    @settings(deadline=None)
    @given(STEPS)
    def test_no_order_of_events_breaks_a_line(self, steps: list[Step]) -> None:
        clock = Clock()
        console = Console(file=io.StringIO())
        view = PlainView(console, 3, clock, TRUTHS)
        play(view, clock, steps)
        starts = sum(kind in ("start", "solve") for _, kind, *_ in steps)
        lines = written(console).splitlines()
        assert starts <= len(lines) <= starts + (clock.now - Clock().now) / 30
        assert all(line.isprintable() for line in lines)
