"""`--brief` writes the page that a notebook writes of its run, from the same directory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.summary.run_page import PREDICTOR_FILE, run_page
from agent.types import Problem
from tests.support.runs.report_runs import vote, write_run
from tools.report.command import main


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", [Problem("a", "?", 42)], {"a": [vote(0, 42), vote(1, 7)]})


def test_the_page_of_a_recorded_run_is_that_of_its_directory(run: Path) -> None:
    assert main([str(run), "--brief"]) == 0
    page = (run / "run-page.html").read_text(encoding="utf-8")
    assert page == run_page(run) and "<h2>Problems</h2>" in page and "7: 1" in page


def test_the_output_may_be_named(run: Path, tmp_path: Path) -> None:
    assert main([str(run), "--brief", "--output", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").exists() and not (run / "run-page.html").exists()


def test_the_record_of_a_notebook_whose_worker_never_started_has_a_page(tmp_path: Path) -> None:
    row = {"id": "a", "answer": 0, "source": "fallback", "closed": "worker lost", "votes": "", "seconds": 1.0}
    (tmp_path / PREDICTOR_FILE).write_text(json.dumps({**row, "warnings": ["no model is attached"]}) + "\n")
    assert main([str(tmp_path), "--brief"]) == 0
    assert "a: 0; worker lost; no model is attached" in (tmp_path / "run-page.html").read_text(encoding="utf-8")


def test_what_has_no_page_is_said_in_one_line(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / PREDICTOR_FILE).write_text('{"id": "a"}\n')
    for arguments, fault in (
        ([tmp_path / "empty"], "holds no run"),
        ([run, run], "2 runs were given: with --brief, give one"),
        ([damaged], "is not what a run writes (KeyError('seconds')): leave out --brief"),
        ([run, "--output", tmp_path / "no" / "page.html"], "cannot be written (No such file or directory)"),
    ):
        assert main([*map(str, arguments), "--brief"]) == 2
        error = capsys.readouterr().err
        assert fault in error.replace("\n", " ") and "Traceback" not in error


@pytest.mark.parametrize("flag", ["--export", "--failures"])
def test_what_a_brief_page_does_not_have_is_refused(
    flag: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(run), "--brief", flag, str(tmp_path / "out")]) == 2
    assert "leave out --export and --failures" in " ".join(capsys.readouterr().err.split())
    assert not (run / "run-page.html").exists() and not (tmp_path / "out").exists()
