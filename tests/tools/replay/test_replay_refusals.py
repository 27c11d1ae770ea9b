"""What a replay refuses, before anything is played."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.runs.recordings import write_traces
from tests.tools.replay.test_replay import complaint, traces
from tools.replay.command import main

__all__ = ["traces"]


def test_unknown_policies_and_profiles_are_reported(capsys: pytest.CaptureFixture[str], traces: Path) -> None:
    assert "margin, beta" in complaint(capsys, traces, "--policy", "best-of-all")
    assert "no policy 'window-3'" in complaint(capsys, traces, "--policy", "window-3")
    assert "KEY=VALUE" in complaint(capsys, traces, "--policy", "price,scatter")
    assert "unknown key" in complaint(capsys, traces, "--policy", "price,stopping.colour=3")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        *(("", "holds no recorded problem"), ("{}", "line 1"), ("[1]", "line 1")),
        ('{"problem_id": "a", "answer": 1, "samples": [{"answer": 1, "tokens": 0}]}', "field 'samples[0].tokens' is 0"),
    ],
)
def test_files_that_are_no_traces_are_reported(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, text: str, told: str
) -> None:
    (tmp_path / "bad.jsonl").write_text(text, encoding="utf-8")
    assert told in complaint(capsys, tmp_path / "bad.jsonl")


def not_called(*args: object, **keys: object) -> None:
    pytest.fail("runs were played")


def test_what_cannot_be_replayed_is_reported(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, traces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "cannot be read" in complaint(capsys, tmp_path / "none.jsonl")
    (tmp_path / "empty").mkdir()
    assert "neither a run nor trace files" in complaint(capsys, tmp_path / "empty")
    assert "give --samples 24" in complaint(capsys, traces, "--samples", "99", "--processes", "1")
    for chart in (tmp_path / "chart.txt", tmp_path / "no" / "chart.svg"):
        assert "name a .svg, .png or .pdf file" in complaint(capsys, traces, "--samples", "99", "--chart", str(chart))
    with pytest.raises(SystemExit, match="2"):
        main([str(traces), "--forced-from", "1.5"])
    assert "at most 1" in capsys.readouterr().err
    for flags in (
        ("--compare", "margin-2", "margin-3"),
        ("--bounds", "online"),
        ("--budget-tokens", "9"),
        ("--time-limit", "9"),
    ):
        assert f"leave out {flags[0]}\n" in complaint(capsys, traces, "--stop-only", *flags)
    one = write_traces(tmp_path / "one.jsonl", problems=1)
    monkeypatch.setattr("tools.replay.full_runs.run_jobs", not_called)
    assert "one.jsonl" not in (told := complaint(capsys, traces, one, "--bounds", "online"))
    assert "model (one) has one problem, and --bounds online leaves half of them out" in told
    assert "90m" in complaint(capsys, traces, "--time-limit", "soon")
