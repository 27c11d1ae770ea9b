"""What a replay prints, draws and exports."""

from __future__ import annotations

import json
import re
import sys
from html import unescape
from pathlib import Path

import pytest
from rich.console import Console

from tests.support.runs.recordings import write_traces
from tests.tools.replay.test_replay import complaint
from tools.replay.command import main
from tools.replay.full_runs import ONLINE_BOUNDS
from tools.replay.view import BOUND_MEANINGS
from tools.shared.exports import TABLES


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    return write_traces(tmp_path / "model.jsonl")


@pytest.mark.further
def test_tables_and_a_chart_of_all_bounds_are_drawn(
    capsys: pytest.CaptureFixture[str], traces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rc_context = pytest.importorskip("matplotlib").rc_context
    chart = tmp_path / "chart.svg"
    flags = ["--repeats", "2", "--problems", "6", "--budget-tokens", "3000", "--processes", "1", "--samples", "4"]
    monkeypatch.setattr("tools.replay.bounds.online.BOUND_RUNS", 2)
    bounds = ["--bounds", "online", "--chart", str(chart)]
    with rc_context({"svg.fonttype": "none"}):  # texts stay texts
        assert main([str(traces), *flags, "--compare", "price", "margin-3", *bounds]) == 0
    out = capsys.readouterr().out
    drawn = re.findall("<text[^>]*>([^<]*)</text>", chart.read_text(encoding="utf-8"))
    for name, meaning in BOUND_MEANINGS.items():
        assert any(unescape(line).startswith(f"{name}: {meaning[:20]}") for line in drawn), name
    assert "(knapsack)" in out
    assert "price minus margin-3" in out
    assert chart.read_text(encoding="utf-8").startswith("<?xml")
    assert main([str(traces), *flags[:4], "--samples", "4", "--stop-only", "--processes", "1"]) == 0
    assert "(oracle)" in capsys.readouterr().out
    assert "cannot be written" in complaint(capsys, traces, *flags, "--chart", tmp_path / "no" / "chart.svg")


def test_tables_and_charts_are_exported_and_a_comparison_says_what_it_can_show(
    capsys: pytest.CaptureFixture[str], traces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    flags = ["--repeats", "2", "--problems", "6", "--budget-tokens", "3000", "--processes", "1", "--samples", "4"]
    export = ["--bounds", "online", "--export", str(tmp_path / "out")]
    monkeypatch.setattr("tools.replay.bounds.online.BOUND_RUNS", 2)
    assert main([str(traces), *flags, *export, "--compare", "price", "margin-3"]) == 0
    printed = capsys.readouterr().out
    assert "difference of 1 right answer of 6" in printed
    assert "(online, one price, other half)" in printed and "what the bounds know" in printed
    tables = {f"{name}{suffix}" for name in ("policies", "bounds", "comparisons") for suffix in TABLES}
    charts = {f"{name}{suffix}" for name in ("policies", "comparisons") for suffix in (".svg", ".png")}
    assert {path.name for path in (tmp_path / "out").iterdir()} == tables | charts
    assert (tmp_path / "out" / "policies.csv").read_text(encoding="utf-8").startswith("policy,right answers,")
    rows = json.loads((tmp_path / "out" / "bounds.json").read_text(encoding="utf-8"))["rows"]
    assert [row["bound"] for row in rows] == ["knapsack", "oracle", *ONLINE_BOUNDS] == list(BOUND_MEANINGS)
    compared = (tmp_path / "out" / "comparisons.csv").read_text(encoding="utf-8").splitlines()[0]
    assert compared.endswith("problems to see 1,smallest seen,runs to see 1")
    stops = [
        *flags[:2],
        "--samples",
        "4",
        "--processes",
        "1",
        "--policy",
        "agree-1",
        "--stop-only",
        "--export",
        str(tmp_path / "stops"),
    ]
    assert main([str(traces), *stops]) == 0
    assert "(oracle)" not in (tmp_path / "stops" / "stopping.csv").read_text(encoding="utf-8")
    assert (tmp_path / "stops" / "stopping.png").exists()
    rows = json.loads((tmp_path / "stops" / "stopping.json").read_text(encoding="utf-8"))["rows"]
    needed = {row["policy"]: row["problems"] for row in rows}
    assert needed["wait-for-all"] is None and needed["agree-1"] >= 2, "which the first wrong vote ends"


@pytest.mark.parametrize(
    ("problems", "told"),
    [(12, ""), (13, "a run has 13 problems (--problems sets how many), so some come more than once: model has 12\n")],
)
def test_a_run_that_has_more_problems_than_a_recording_is_said_to(
    problems: int, told: str, traces: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--problems", problems, "--samples", 4, "--repeats", 1, "--processes", 1, "--policy", "margin-2", "--json"]
    assert main([str(traces), "--no-bounds", *map(str, flags)]) == 0
    assert [line for line in capsys.readouterr().err.splitlines(keepends=True) if "--problems" in line] == [
        told
    ] * bool(told)


@pytest.mark.parametrize("missing", ["jinja2", "matplotlib"])
def test_an_export_that_cannot_be_written_is_refused_before_the_replay(
    missing: str, traces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.replay.command.load_recordings", None)
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert "name another --export" in complaint(capsys, traces, "--export", tmp_path / "file")
    monkeypatch.setitem(sys.modules, missing, None)
    assert "pip install 'aimo-agent[lab]'" in complaint(capsys, traces, "--export", tmp_path / "out")
    if missing == "matplotlib":
        assert "charts need Matplotlib" in complaint(capsys, traces, "--chart", tmp_path / "chart.svg")


@pytest.mark.parametrize("alone", [(), ("--stop-only",)])
def test_every_recording_is_told_in_a_narrow_terminal(
    alone: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "traces").mkdir()
    for number in range(6):
        write_traces(tmp_path / "traces" / f"{number}.jsonl", model=f"a-long-name-of-model-{number}")
    monkeypatch.setattr("tools.replay.command._out", lambda: Console(width=100))
    flags = ["--problems", "6", "--samples", "4", "--repeats", "2", "--processes", "1", "--no-bounds", *alone]
    assert main([str(tmp_path / "traces"), *flags, "--policy", "margin-2"]) == 0
    out = capsys.readouterr().out
    assert all(len(line) <= 100 for line in out.splitlines()) and "…" not in out
    assert all(
        out.count(f"│ a-long-name-of-model-{number}") + out.count(f"┃ a-long-name-of-model-{number}") == 1
        for number in range(6)
    )
