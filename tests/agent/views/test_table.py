"""The figures of a run: exact on small cases, and drawn at any width."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from agent.config import load_config
from agent.editions import EDITIONS
from agent.metrics import is_right
from agent.types import Problem, Sample, SampleEnd, Solution, StopReason, Tally, ToolRun, ToolStatus, Turn, Vote
from agent.views.table import as_json, duration, render, short
from agent.views.totals import totals

RULES = EDITIONS["aimo3"]
CONFIG = load_config("qwq", {"edition": "aimo3"})
PROBLEMS = [
    Problem("a", "first", 7),
    Problem("b", "second", 8),
    Problem("c", "third"),
    Problem("d", "fourth", 9),
]


def sample(problem_id: str, answer: int | None, end: SampleEnd = SampleEnd.ANSWERED, *, forced: bool = False) -> Sample:
    return Sample(problem_id, 0, 0, (), answer, end, forced, 0.0, 1.0)


def solution(
    problem_id: str,
    votes: dict[int, int],
    *,
    at: float = 10.0,
    seconds: float = 10.0,
    stop: StopReason = StopReason.MARGIN,
) -> Solution:
    tally = Tally(tuple(Vote(answer, float(count), count) for answer, count in votes.items()))
    answer = tally.leader.answer if tally.leader else None
    return Solution(problem_id, answer, tally, stop, 8, 6, 1_000, 3, seconds, 60.0, at)


def printed(problems: list[Problem], solutions: list[Solution], samples: list[Sample], width: int = 100) -> list[str]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(render(problems, solutions, samples, CONFIG))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


class TestTotals:
    def test_a_hand_made_run(self) -> None:
        solutions = [
            solution("a", {7: 3, 1: 1}, at=10.0, seconds=10.0),
            solution("b", {1: 2}, at=40.0, seconds=20.0),
            solution("c", {5: 2}, at=50.0, seconds=10.0),
        ]
        samples = [
            *(sample("a", 7) for _ in range(3)),
            sample("a", 1),
            sample("b", 8, SampleEnd.DEADLINE, forced=True),
            sample("b", 1, SampleEnd.DEADLINE, forced=True),
            sample("b", 1),
            sample("b", None, SampleEnd.REPEATING),
            sample("c", 5),
        ]
        sums = totals(PROBLEMS, solutions, samples, RULES)
        assert (sums.problems, sums.closed, sums.attempted, sums.answered) == (4, 3, 3, 3)
        assert (sums.known, sums.correct, sums.majority) == (2, 1, 0.5)
        assert (sums.samples, sums.samples_finished, sums.tokens, sums.tool_runs) == (24, 18, 3_000, 9)
        assert sums.pass_at_1 == pytest.approx((3 / 4 + 1 / 4) / 2)
        assert sums.seconds == pytest.approx(40.0)
        assert sums.tokens_per_second == pytest.approx(75.0)
        assert sums.projected_seconds == pytest.approx(40.0 / 3 * 50)

    def test_a_cancelled_sample_is_no_attempt_but_any_other_is(self) -> None:
        solutions = [solution("a", {7: 1})]
        cut = [sample("a", None, SampleEnd.CANCELLED)] * 5
        assert totals(PROBLEMS, solutions, [sample("a", 7), *cut], RULES).pass_at_1 == 1.0
        for end in set(SampleEnd) - {SampleEnd.CANCELLED}:
            without_answer = replace(sample("a", None, end), index=1)
            assert totals(PROBLEMS, solutions, [sample("a", 7), without_answer], RULES).pass_at_1 == 0.5

    def test_each_problem_weighs_the_same_in_pass_at_1(self) -> None:
        solutions = [solution("a", {7: 1}), solution("b", {1: 9})]
        samples = [sample("a", 7), *[sample("b", 1)] * 9]
        assert totals(PROBLEMS, solutions, samples, RULES).pass_at_1 == 0.5

    def test_samples_of_a_problem_still_open_do_not_count(self) -> None:
        samples = [sample("a", 7), sample("b", 1)]
        assert totals(PROBLEMS, [solution("a", {7: 1})], samples, RULES).pass_at_1 == 1.0

    def test_problems_solved_side_by_side_share_their_time(self) -> None:
        solutions = [
            solution("a", {7: 1}, at=30.0, seconds=30.0),
            solution("b", {8: 1}, at=20.0, seconds=10.0),
            solution("c", {1: 1}, at=45.0, seconds=20.0),
            solution("d", {9: 1}, at=60.0, seconds=5.0),
        ]
        for order in (solutions, solutions[::-1]):
            assert totals(PROBLEMS, order, [], RULES).seconds == pytest.approx(50.0)

    def test_a_problem_that_never_got_time_is_wrong_and_does_not_shorten_the_projection(self) -> None:
        missed = solution("b", {}, at=10.0, seconds=0.0, stop=StopReason.OUT_OF_TIME)
        sums = totals(PROBLEMS, [solution("a", {7: 1}), missed], [sample("a", 7)], RULES)
        assert (sums.closed, sums.attempted, sums.answered, sums.known, sums.correct) == (2, 1, 1, 2, 1)
        assert sums.projected_seconds == pytest.approx(500.0)

    def test_nothing_recorded(self) -> None:
        sums = totals([], [], [], RULES)
        assert (sums.majority, sums.pass_at_1, sums.projected_seconds, sums.tokens_per_second) == (
            None,
            None,
            None,
            0.0,
        )

    def test_zero_is_an_answer(self) -> None:
        zero = [Problem("z", "", 0)]
        assert totals(zero, [solution("z", {0: 1})], [sample("z", 0)], RULES).correct == 1
        assert totals(zero, [solution("z", {})], [sample("z", None, SampleEnd.NO_ANSWER)], RULES).correct == 0
        assert is_right(None, 0) is False
        assert is_right(0, None) is None


class TestTable:
    def test_a_right_a_wrong_and_an_unknown_row(self) -> None:
        solutions = [solution("a", {7: 5, 1: 2, 2: 1}), solution("b", {1: 2}), solution("c", {5: 2})]
        right, wrong, unknown = printed(PROBLEMS, solutions, [sample("a", 7)])[1:4]
        assert right.split() == [
            "a",
            "7",
            "✓",
            "7",
            "5/8",
            "·",
            "next",
            "2",
            "10",
            "/",
            "60",
            "s",
            "1,000",
            "margin",
        ]
        assert wrong.split() == ["b", "1", "✗", "8", "2/2", "10", "/", "60", "s", "1,000", "margin"]
        assert unknown.split() == ["c", "5", "2/2", "10", "/", "60", "s", "1,000", "margin"]

    def test_the_totals_below(self) -> None:
        solutions = [
            solution("a", {7: 1}, at=60.0, seconds=60.0),
            solution("b", {1: 1}, at=90.0, seconds=30.0),
        ]
        lines = printed(PROBLEMS, solutions, [sample("a", 7), sample("b", 8), sample("b", 1)])
        told = {"2 of 2 answered", "1 of 2 known correct", "majority 50%", "pass@1 75%"}
        assert told <= set(lines[-3].split(" · "))
        assert lines[-2:] == [
            "16 samples, 12 finished · 6 tool runs · 2,000 tokens · 22 tokens/s",
            "0:01:30 for 2 of 4 problems · a scored run of 50 would take 0:37:30",
        ]

    def test_what_code_was_worth_is_told_where_any_ran(self) -> None:
        turns = (Turn("text", 3, 1.0, "", ToolRun("print(7)", "7", ToolStatus.OK, 1.0)),)
        samples = [replace(sample("a", 7), turns=turns), replace(sample("a", 8), turns=turns), sample("a", 7)]
        lines = printed(PROBLEMS, [solution("a", {7: 2, 8: 1})], samples)
        assert "2 of 3 samples ran code · 1 of 2 right with code, 1 of 1 without" in lines
        unknown = [replace(each, problem_id="c") for each in samples]
        lines = printed(PROBLEMS, [solution("c", {7: 2, 8: 1})], unknown)
        assert "2 of 3 samples ran code · 1 of 2 voted for the answer with code, 1 of 1 without" in lines
        assert "ran code" not in "".join(printed(PROBLEMS, [solution("a", {7: 1})], samples[2:]))

    def test_code_is_worth_nothing_yet_where_no_problem_has_an_answer(self) -> None:
        turns = (Turn("text", 3, 1.0, "", ToolRun("print(7)", "7", ToolStatus.OK, 1.0)),)
        silent = replace(sample("c", None, SampleEnd.NO_ANSWER), turns=turns)
        assert "1 of 1 samples ran code" in printed(PROBLEMS, [solution("c", {})], [silent])

    def test_code_that_was_not_run_is_reported(self) -> None:
        ended = [SampleEnd.ANSWERED, SampleEnd.NO_ANSWER, SampleEnd.CANCELLED, SampleEnd.DEADLINE]
        samples = [replace(sample("a", 7, end), turns=(Turn("```python", 3, 1.0, unrun_blocks=2),)) for end in ended]
        assert totals(PROBLEMS, [solution("a", {7: 1})], samples, RULES).samples_with_unrun_code == 2
        for count, told in ((0, ""), (1, "1 sample opened code"), (2, "2 samples opened code that was not run")):
            text = "\n".join(printed(PROBLEMS, [solution("a", {7: 1})], samples[:count]))
            assert told in text and ("opened" in text) == (count > 0)
        assert as_json(PROBLEMS, [solution("a", {7: 1})], samples, RULES)["totals"]["samples_with_unrun_code"] == 2  # type: ignore[index]

    def test_an_answer_that_won_a_tie_has_its_reason_below(self) -> None:
        tied = solution("b", {1: 1, 8: 1})
        samples = [sample("b", 1), sample("b", 8), *(sample("a", 7) for _ in range(3))]
        lines = printed(PROBLEMS, [solution("a", {7: 3}), tied], samples)
        assert "  b: 1 and 8 tie at a weight of 1; 1 is the smaller number." in lines
        assert not any(line.startswith("  a: ") for line in lines)
        assert "1/2 · tie" in lines[2]

    def test_guesses_alone_are_called_so(self) -> None:
        guess = [sample("a", 7, SampleEnd.DEADLINE, forced=True)] * 2
        lines = printed(PROBLEMS, [solution("a", {7: 2})], guess)
        assert "2/2 · guessed" in lines[1]
        assert "  a: All 2 votes are for 7; all votes for 7 were guesses, forced from unfinished samples." in lines

    def test_of_many_doubtful_answers_some_are_explained_and_the_others_counted(self) -> None:
        names = [f"p{n}" for n in range(14)]
        lines = printed([], [solution(name, {1: 1, 2: 1}) for name in names], [])
        assert sum("tie at a weight" in line for line in lines) == 10
        assert "  and 4 more such answers, explained on the page of tools.report" in lines

    def test_the_columns_and_the_reasons_that_occur_are_explained(self) -> None:
        told = "\n".join(printed(PROBLEMS, [solution("a", {7: 3})], []))
        assert "votes: weight of the votes" in told and "margin, the lead was large enough" in told
        assert "scattered" not in told

    def test_without_a_known_answer_none_is_shown(self) -> None:
        lines = printed([Problem("c", "third")], [solution("c", {5: 2})], [sample("c", 5)])
        text = "\n".join(lines)
        assert not any(word in text for word in ("truth", "correct", "majority", "pass@1", "✓", "✗"))
        assert "1 of 1 answered" in text

    def test_without_a_solution(self) -> None:
        assert printed(PROBLEMS, [], []) == ["0 of 4 problems closed"]

    def test_no_answer_is_not_zero(self) -> None:
        row = printed(PROBLEMS, [solution("a", {}, stop=StopReason.DEADLINE)], [])[1]
        assert row.split()[:4] == ["a", "none", "✗", "7"]

    def test_markup_in_an_id_is_text(self) -> None:
        assert "[bold]x[/]" in printed([], [solution("[bold]x[/]", {1: 1})], [])[1]

    def test_a_narrow_terminal_keeps_problem_answer_and_truth(self) -> None:
        row = printed(PROBLEMS, [solution("a", {7: 5, 1: 2})], [], width=30)[1]
        assert row.split() == ["a", "7", "✓", "7"]

    @settings(deadline=None)
    @given(
        ids=st.lists(st.text(max_size=40), max_size=4),
        answer=st.integers(),
        width=st.integers(1, 200),
        known=st.booleans(),
    )
    def test_any_ids_at_any_width(self, ids: list[str], answer: int, width: int, known: bool) -> None:
        problems = [Problem(name, "", answer if known else None) for name in ids]
        lines = printed(problems, [solution(name, {answer: 2, 5: 1}) for name in ids], [], width)
        assert all(cell_len(line) <= width for line in lines)


class TestJson:
    def test_it_is_json_and_says_it_all(self) -> None:
        solutions = [solution("a", {7: 5, 1: 2}), solution("c", {})]
        told = json.loads(json.dumps(as_json(PROBLEMS, solutions, [sample("a", 7)], RULES)))
        first, second = told["solutions"]
        assert first["votes"] == [
            {"answer": 7, "weight": 5.0, "samples": 5},
            {"answer": 1, "weight": 2.0, "samples": 2},
        ]
        assert (first["problem_id"], first["answer"], first["truth"], first["correct"]) == ("a", 7, 7, True)
        assert (second["answer"], second["truth"], second["correct"], second["votes"]) == (
            None,
            None,
            None,
            [],
        )
        assert first["stop"] == "margin"
        assert (told["totals"]["correct"], told["totals"]["pass_at_1"], told["totals"]["majority"]) == (
            1,
            1.0,
            1.0,
        )
        assert told["totals"]["projected_seconds"] == pytest.approx(250.0)

    def test_an_empty_run_is_json_too(self) -> None:
        assert json.loads(json.dumps(as_json([], [], [], RULES)))["totals"]["pass_at_1"] is None


class TestWords:
    @given(st.text(), st.integers(1, 60))
    def test_short_text_fits_on_one_harmless_line(self, text: str, cells: int) -> None:
        line = short(text, cells)
        assert cell_len(line) <= cells
        assert line.isprintable()
        assert line.split() == text.split() or line.endswith("…") or not text.isprintable()

    def test_short_keeps_the_beginning(self) -> None:
        assert short("Let $x$\n be  a\tprime\x1b[31m", 40) == "Let $x$ be a prime [31m"
        assert short("Let $x$ be a prime", 9) == "Let $x$…"

    def test_durations(self) -> None:
        assert [duration(s) for s in (-1.0, 0.0, 59.9, 3_725.0, 90_000.0)] == [
            "0:00:00",
            "0:00:00",
            "0:00:59",
            "1:02:05",
            "1 day, 1:00:00",
        ]
