"""The table of figures: pass@1 and majority of each run, and their paired differences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from agent.types import Problem
from tests.support.runs.report_runs import vote, write_run
from tools.report.command import main
from tools.report.data import load_run
from tools.report.figures import figures

PROBLEMS = [Problem(f"p{n}", f"What is {n}?", n) for n in range(4)]
ALL_RIGHT = {f"p{n}": [vote(i, n) for i in range(4)] for n in range(4)}
HALF_RIGHT = {f"p{n}": [vote(0, n), vote(1, n), vote(2, 9), vote(3, 8)] for n in range(4)}
NONE_RIGHT = {f"p{n}": [vote(i, None) for i in range(4)] for n in range(4)}


def rows(*runs: Path) -> dict[str, list[str]]:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(figures([load_run(run) for run in runs]))
    found = {}
    for line in capture.get().splitlines():
        name, *cells = [part.strip() for part in line.split("  ") if part.strip()]
        found[name] = cells
    return found


def test_what_tools_and_voting_are_worth_is_paired_by_problem(tmp_path: Path) -> None:
    half = write_run(tmp_path / "half", PROBLEMS, HALF_RIGHT)
    none = write_run(tmp_path / "none", PROBLEMS, NONE_RIGHT)
    found = rows(none, half)
    assert found["pass@1"] == ["0.000 (0.000 to 0.000)", "0.500 (0.500 to 0.500)", "+0.500 (+0.500 to +0.500)"]
    assert found["majority of all samples"][1:] == ["1.000 (1.000 to 1.000)", "+1.000 (+1.000 to +1.000)"]
    assert found["gain of voting over pass@1"][:2] == ["+0.000 (+0.000 to +0.000)", "+0.500 (+0.500 to +0.500)"]


def test_only_problems_in_both_runs_are_paired(tmp_path: Path) -> None:
    half = write_run(tmp_path / "half", PROBLEMS[:2], HALF_RIGHT)
    mixed = write_run(tmp_path / "all", PROBLEMS, {**ALL_RIGHT, "p3": NONE_RIGHT["p3"]})
    found = rows(half, mixed)
    assert found["pass@1"][1].startswith("0.750 ")
    assert found["pass@1"][2] == "+0.500 (+0.500 to +0.500)"
    assert "2 problems, 4 samples each" in found and "2 problems in both" in found["2 problems, 4 samples each"]


def test_the_command_prints_them_where_truths_are_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = write_run(tmp_path / "known", PROBLEMS, ALL_RIGHT)
    assert main([str(known)]) == 0
    assert "majority of all samples 1.000" in " ".join(capsys.readouterr().out.split())
    unknown = write_run(tmp_path / "unknown", [Problem("p", "?")], {"p": [vote(0, 1)]})
    assert main([str(unknown)]) == 0
    assert capsys.readouterr().out == ""


def test_a_comparison_says_how_many_problems_it_takes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    half = write_run(tmp_path / "half", PROBLEMS, HALF_RIGHT)
    mixed = write_run(tmp_path / "mixed", PROBLEMS, {**ALL_RIGHT, "p3": NONE_RIGHT["p3"]})
    assert main([str(half), str(mixed), "--output", str(tmp_path / "page.html")]) == 0
    told = capsys.readouterr().out
    # Differences of 1/2, 1/2, 1/2 and -1/2 have a variance of 1/4: 2.8016^2 / 4 / 0.05^2.
    assert "A difference of 0.05 in pass@1 shows in 80% of comparisons (paired by problem, 5% level) with 785" in told
    assert "0.05 in the share right" in told
    assert "0.05 in pass@1 shows" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_the_figures_are_exported(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    runs = [write_run(tmp_path / name, PROBLEMS, votes) for name, votes in (("a", HALF_RIGHT), ("b", ALL_RIGHT))]
    pages = ["--output", str(tmp_path / "page.html"), "--export"]
    assert main([str(runs[0]), *pages, str(tmp_path / "one")]) == 0
    suffixes = (".csv", ".json", ".md", ".tex")
    tables = {f"{name}{suffix}" for name in ("metrics", "problems") for suffix in suffixes}
    assert {path.name for path in (tmp_path / "one").iterdir()} == {
        *tables, "accuracy_by_samples.svg", "accuracy_by_samples.png",
    }  # fmt: skip
    assert "has 2 of 4 votes" in (tmp_path / "one" / "problems.csv").read_text(encoding="utf-8")
    assert main([*map(str, runs), *pages, str(tmp_path / "two")]) == 0
    names = {path.name for path in (tmp_path / "two").iterdir()}
    assert {"metrics_first.tex", "problems_second.md", "differences.csv", "differences.svg"} <= names
    caption = json.loads((tmp_path / "two" / "differences.json").read_text(encoding="utf-8"))["caption"]
    assert "difference of 0.05 in pass@1 shows in 80% of comparisons" in caption


def test_the_curves_of_two_runs_of_one_name_are_both_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    drawn: list[str] = []
    monkeypatch.setattr("tools.report.export.draw_curves", lambda paths, curves, *_, **__: drawn.extend(curves))
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
    runs = [
        write_run(tmp_path / place / "run", PROBLEMS, votes) for place, votes in (("a", HALF_RIGHT), ("b", ALL_RIGHT))
    ]
    assert main([*map(str, runs), "--output", str(tmp_path / "page.html"), "--export", str(tmp_path / "out")]) == 0
    assert drawn == ["run-1", "run-2"]
    assert "<h1>run-1 and run-2</h1>" in (tmp_path / "page.html").read_text(encoding="utf-8")
