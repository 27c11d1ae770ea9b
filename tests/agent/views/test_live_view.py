"""The live view: what it shows after scripted events."""

from __future__ import annotations

import io
import re
import sys
import threading
from collections.abc import Sequence

import pytest
from rich.console import Console

from agent.events import ProblemSolved, ProblemStarted, SampleEnded, TextGenerated, ToolRan
from agent.types import Problem, SampleEnd, StopReason, ToolRun, ToolStatus
from agent.views.live import LiveView
from tests.support.view_events import LATEX, TRUTHS, Clock, clock, frame, sample, solution, written

__all__ = ["clock"]


@pytest.fixture
def live(clock: Clock) -> LiveView:
    return LiveView(10, clock, TRUTHS)


def row(lines: Sequence[str], label: str) -> str:
    """The line of a label, its bar removed."""
    (line,) = [line for line in lines if line.split()[:1] == [label]]
    return " ".join(re.sub("[━╸╺]", "", line).split())


class TestLiveView:
    def test_a_problem_in_flight(self, live: LiveView, clock: Clock) -> None:
        live(ProblemStarted(LATEX, "prompt", 60.0, 8))
        for index, answer in enumerate([42, 42, 17]):
            live(SampleEnded(sample(index, answer)))
        live(SampleEnded(sample(3, None, SampleEnd.NO_ANSWER)))
        live(SampleEnded(sample(4, None, SampleEnd.CANCELLED)))
        for status in (ToolStatus.OK, ToolStatus.OK, ToolStatus.ERROR, ToolStatus.TIMEOUT, ToolStatus.KILLED):
            live(ToolRan("a", 5, ToolRun("1", "1", status, 0.1)))
        for index in (5, 6, 7):
            live(TextGenerated("a", index, "", 500))
        clock.now += 23.0
        lines = frame(live)
        assert lines[0] == "problem 1 of 10 · 0:00:23"
        assert lines[2] == "a  " + LATEX.text
        assert row(lines, "time") == "time 23 / 60 s"
        assert row(lines, "samples") == "samples 4 done · 3 running · 1 cancelled"
        assert row(lines, "42") == "42 votes 2"
        assert row(lines, "17") == "17 votes 1"
        assert row(lines, "tokens") == "tokens 1,500 · 0/s tool runs 2 ok · 3 failed"

    def test_bars_are_as_long_as_their_share(self, live: LiveView, clock: Clock) -> None:
        live(ProblemStarted(LATEX, "", 60.0, 8))
        for index in range(4):
            live(SampleEnded(sample(index, 42 if index < 2 else 7 + index)))
        clock.now += 45.0
        console = Console(
            file=io.StringIO(), force_terminal=True, width=80, height=24, color_system=None, no_color=True
        )
        console.print(live)  # without colour only the part that is reached is drawn
        bars = [line.count("━") for line in written(console).splitlines() if "━" in line]
        assert bars == [18, 12, 6, 3, 3]

    def test_guesses_are_marked_and_not_forced_answers_of_samples_that_had_ended(self, live: LiveView) -> None:
        live(ProblemStarted(LATEX, "", 60.0, 8))
        live(SampleEnded(sample(0, 42)))
        live(SampleEnded(sample(1, 42, SampleEnd.DEADLINE, forced=True)))
        live(SampleEnded(sample(2, 42, SampleEnd.NO_ANSWER, forced=True)))
        live(SampleEnded(sample(3, None, SampleEnd.DEADLINE, forced=True)))
        assert row(frame(live), "42") == "42 votes 3 (1 guessed)"

    def test_three_leaders_most_votes_first(self, live: LiveView) -> None:
        live(ProblemStarted(LATEX, "", 60.0, 16))
        for index, answer in enumerate([5, 9, 9, 9, 6, 6, 7, 7, 7, 7]):
            live(SampleEnded(sample(index, answer)))
        leaders = [line.split()[0] for line in frame(live) if "votes" in line and "━" in line]
        assert leaders == ["7", "9", "6"]

    def test_the_frame_keeps_its_height_while_votes_come_in(self, live: LiveView) -> None:
        live(ProblemStarted(LATEX, "", 60.0, 8))
        heights = {len(frame(live))}
        for index in range(8):
            live(SampleEnded(sample(index, index)))
            heights.add(len(frame(live)))
        assert len(heights) == 1

    def test_tokens_a_second_over_the_last_five(self, live: LiveView, clock: Clock) -> None:
        live(ProblemStarted(LATEX, "", 600.0, 8))

        def stream(seconds: int, per_tenth: int) -> str:
            for _ in range(seconds * 10):
                clock.now += 0.1
                live(TextGenerated("a", 0, "", per_tenth))
            rate = row(frame(live), "tokens").split("·")[1].split()[0]
            return rate.removesuffix("/s")

        assert stream(2, 10) == "100"
        assert int(stream(20, 10)) == pytest.approx(100, rel=0.03)
        assert int(stream(6, 50)) == pytest.approx(500, rel=0.03)
        clock.now += 2.5
        assert 100 < int(row(frame(live), "tokens").split("·")[1].split("/")[0]) < 400
        clock.now += 3.0
        assert "· 0/s" in row(frame(live), "tokens")

    def test_solved_problems_fill_up_below(self, live: LiveView) -> None:
        live(ProblemStarted(LATEX, "", 60.0, 8))
        live(ProblemSolved(solution("a", {42: 5, 1: 2, 3: 1})))
        live(ProblemSolved(solution("b", {1: 2}, StopReason.DEADLINE)))
        live(ProblemSolved(solution("c", {3: 8})))
        lines = frame(live)
        assert lines[0] == "problem 3 of 10 · 1 of 2 correct · 0:00:00"
        assert [line.split() for line in lines[-3:]] == [
            ["a", "42", "✓", "42", "5/8", "·", "next", "2", "41", "/", "60", "s", "12,345", "margin"],
            ["b", "1", "✗", "8", "2/2", "41", "/", "60", "s", "12,345", "deadline"],
            ["c", "3", "8/8", "41", "/", "60", "s", "12,345", "margin"],
        ]

    def test_ticks_are_green_and_crosses_red(self, live: LiveView) -> None:
        live(ProblemSolved(solution("a", {42: 5})))
        live(ProblemSolved(solution("b", {1: 2})))
        console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system="standard")
        console.print(live)
        assert "\x1b[32m✓ 42" in written(console)
        assert "\x1b[31m✗ 8" in written(console)

    def test_solved_twice_counts_once(self, live: LiveView) -> None:
        live(ProblemSolved(solution("a", {1: 5})))
        live(ProblemSolved(solution("a", {42: 5})))
        lines = frame(live)
        assert lines[0].startswith("problem 1 of 10 · 1 of 1 correct")
        assert sum("margin" in line for line in lines) == 1

    def test_several_in_flight(self, live: LiveView) -> None:
        live(ProblemSolved(solution("c", {3: 8})))
        for name in "abde":
            live(ProblemStarted(Problem(name, f"text of {name}"), "", 60.0, 8))
        lines = frame(live, height=40)
        assert lines[0].startswith("problems 2-5 of 10")
        assert [line for line in lines if "text of" in line] == [f"{name}  text of {name}" for name in "abde"]
        lines = frame(live, height=24)
        assert lines[0].endswith("1 more in flight")
        assert sum("text of" in line for line in lines) == 3

    def test_the_newest_solved_rows_stay_in_a_low_terminal(self, live: LiveView) -> None:
        live(ProblemStarted(LATEX, "", 60.0, 8))
        for number in range(30):
            live(ProblemSolved(solution(f"p{number}", {1: 1})))
        rows = [line.split()[0] for line in frame(live, height=24) if "margin" in line]
        assert rows == [f"p{number}" for number in range(18, 30)]

    @pytest.mark.parametrize("width", [20, 40, 80, 160])
    def test_the_first_words_and_the_answer_show_at_any_width(self, live: LiveView, width: int) -> None:
        live(ProblemStarted(LATEX, "", 60.0, 8))
        live(SampleEnded(sample(0, 42)))
        live(ProblemSolved(solution("b", {8: 5})))
        lines = frame(live, width)
        assert max(map(len, lines)) <= width
        assert lines[2].startswith("a  Let $ABC$")
        assert row(lines, "time").startswith("time 0 / 60 s")
        assert row(lines, "42").startswith("42 votes 1")
        assert any(line.split()[:2] == ["b", "8"] for line in lines)

    def test_a_frame_may_be_drawn_while_events_come(self, live: LiveView) -> None:
        failures: list[Exception] = []

        def draw() -> None:
            try:
                for _ in range(10):
                    frame(live)
            except RuntimeError as error:  # a dictionary that changed while it was read
                failures.append(error)

        live(ProblemStarted(LATEX, "", 60.0, 10_000))
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        try:
            thread = threading.Thread(target=draw)
            thread.start()
            index = 0
            while thread.is_alive():
                live(SampleEnded(sample(index := index + 1, 42)))
            thread.join()
        finally:
            sys.setswitchinterval(interval)
        assert not failures
