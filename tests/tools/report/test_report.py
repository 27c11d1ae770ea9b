"""The command: what it writes where, and what it says to bad input."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from agent.events import EngineStarted, ServerMemory
from agent.journal.journal import JOURNAL_FILE, Journal
from agent.types import Problem, SampleEnd
from tests.support.runs.report_runs import solved, vote, write_run
from tests.support.tiers.cases import examples
from tests.tools.report.test_report_text import Page
from tools.report.command import main

PROBLEMS = [Problem("first", "What is $1+1$?", 2), Problem("second", "And $2+2$?", 4), Problem("third", "Why?")]
VOTES = {"first": [vote(0, 2), vote(1, 2)], "second": [vote(0, 5)], "third": [vote(0, None)]}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", PROBLEMS, VOTES)


def words(path: Path) -> str:
    body = path.read_text(encoding="utf-8").partition("<body>")[2].partition("<script>")[0]
    return " ".join(" ".join(Page(body).words).split())


def test_the_page_lies_in_the_run_and_says_what_it_came_to(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run)]) == 0
    assert "report.html" in capsys.readouterr().err
    text = words(run / "report.html")
    for part in (
        "1 of 2 known",
        "50.0% by vote",
        "25.0 of the 50 of a scored run",
        "edition aimo3",
        "stops by margin",
        "closed by all done",
    ):
        assert part in text
    assert {path.name for path in run.iterdir()} == {
        "answers.csv",
        "config.toml",
        "journal.jsonl",
        "problems.csv",
        "report.html",
    }


def test_why_an_answer_won_is_said_on_the_page_and_where_it_is_doubtful_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    guess = vote(0, 5, end=SampleEnd.DEADLINE, forced=True)
    run = write_run(tmp_path / "run", PROBLEMS[:2], {"first": [vote(0, 2), vote(1, 2)], "second": [guess, vote(1, 4)]})
    assert main([str(run)]) == 0
    text = words(run / "report.html")
    assert "All 2 votes are for 2." in text and "What the columns mean" in text
    assert "4 has 1 of 2 votes with a weight of 1, the next, 5, has 1 with 0.5." in text
    assert "closed by patience more votes were not worth the wait" in text
    assert "why these answers won" not in capsys.readouterr().out
    tied = write_run(tmp_path / "tied", PROBLEMS[:2], {"first": [vote(0, 3), vote(1, 2)], "second": [guess]})
    assert main([str(tied)]) == 0
    out = capsys.readouterr().out
    assert "tied: why these answers won" in out
    assert "  first: 2 and 3 tie at a weight of 1; 2 is the smaller number." in out
    assert "  second: 5 has the only vote; that vote was a guess" in out


def test_two_runs_are_compared_here(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = write_run(tmp_path / "other", PROBLEMS, {**VOTES, "second": [vote(0, 4)]})
    monkeypatch.chdir(tmp_path)
    assert main([str(run), str(other)]) == 0
    text = words(tmp_path / "report.html")
    assert "Over the 3 problems closed in both runs" in text
    assert "share right 0.500 1.000 +0.500" in text
    assert "second 4 5 wrong 4 right" in text


def test_the_same_run_gives_the_same_page(run: Path, tmp_path: Path) -> None:
    assert main([str(run), "-o", str(tmp_path / "one.html")]) == 0
    assert main([str(run), "-o", str(tmp_path / "two.html")]) == 0
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_a_run_without_a_sample(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", PROBLEMS, {})
    assert main([str(run)]) == 0
    assert "0 of 3 0 closed" in words(run / "report.html")


def test_a_run_without_truths_says_nothing_of_right_and_wrong(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [Problem("p", "?")], {"p": [vote(0, 3), vote(1, 3)]})
    assert main([str(run)]) == 0
    text = words(run / "report.html")
    assert "2/2" in text
    assert "pass@1" not in text.partition("Problems")[0]


def test_how_the_served_model_was_checked_is_shown(run: Path) -> None:
    check = {"kind": "check", "right": 1, "asked": 2, "seconds": 41.2, "changed": {"vllm.enforce_eager": True}}
    with (run / JOURNAL_FILE).open("a") as file:
        file.write(json.dumps(check) + "\n")
    assert main([str(run)]) == 0
    shown = "health model checked: 1 of 2 easy problems right, 41 s; set for its sake: vllm.enforce_eager = True"
    assert shown in words(run / "report.html")


def test_how_a_server_of_ours_came_up_is_shown_with_its_memory_where_that_is_known(run: Path) -> None:
    for memory in (ServerMemory(31.24, 85.1, 233_739, 130.5, 139.8), ServerMemory()):
        with closing(Journal(run)) as journal:
            journal(EngineStarted({"weights read": 93.1, "graph capture": 9.0}, memory))
        assert main([str(run)]) == 0
        shown = words(run / "report.html")
        assert "start 102.1 s: weights read 93.1 s · graph capture 9.0 s" in shown
        assert shown.count("memory weights 31.24 GiB a GPU · KV cache 85.10 GiB a GPU, 233,739 tokens") == 1


def test_lines_that_cannot_be_read_are_reported(run: Path) -> None:
    with (run / JOURNAL_FILE).open("a") as file:
        file.write("{torn\n[]\n")
    assert main([str(run)]) == 0
    assert "2 lines of the journal could not be read" in words(run / "report.html")


@given(
    lines=st.lists(st.one_of(st.text(max_size=30), st.sampled_from(['{"kind": "sample"}', '{"kind": "x"}', "null"]))),
    keep=st.integers(0, 2_000),
)
@examples(20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_journal_gives_a_page(run: Path, lines: list[str], keep: int) -> None:
    torn = (run / JOURNAL_FILE).read_bytes()[:keep]
    (run / JOURNAL_FILE).write_bytes(torn + "\n".join(lines).encode())
    assert main([str(run)]) == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nowhere"], "nowhere holds no run"),
        (["{run}", "{run}", "{run}"], "3 runs were given: give one, or two to compare"),
        (["{run}", "{other}"], "run and other have no closed problem in common"),
        (["{run}", "-o", "{run}/missing/report.html"], "cannot be written (No such file or directory)"),
        (["{run}", "-o", "{run}"], "cannot be written (Is a directory)"),
    ],
)
def test_bad_input_is_a_one_line_message(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], args: list[str], said: str
) -> None:
    other = write_run(tmp_path / "other", PROBLEMS[:1], VOTES, closed=[solved("second", [])])
    assert main([arg.format(run=run, other=other) for arg in args]) == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert errors.count("\n") == 1
    assert not list(tmp_path.rglob(".report*"))


def test_without_the_packages_it_says_what_to_install(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "tools.report.html_page", raising=False)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert main([str(run)]) == 2
    assert "the report needs jinja2: pip install 'aimo-agent[report]'" in capsys.readouterr().err


def test_what_is_configured_and_what_befell_the_engine_is_text(run: Path) -> None:
    config = (run / "config.toml").read_text()
    (run / "config.toml").write_text(config.replace('"qwen2.5-coder-1.5b"', '"<b>model</b>"'))
    with (run / JOURNAL_FILE).open("a") as file:
        file.write(json.dumps({"kind": "engine", "text": "<i>died</i>\ud800", "at": 3.0}) + "\n")
    assert main([str(run)]) == 0
    text = words(run / "report.html")
    assert "<b>model</b>" in text
    assert "<i>died</i>\ufffd" in text
