"""What the notebook notes of a run beside its answers, and that nothing of it costs one."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from agent.summary.run_page import NOTES_FILE, PAGE_FILE
from submission.competitions import COMPETITIONS
from submission.protocol import RequestSolved, SetupChosen, StartupPart, WorkerStarted
from submission.serving import notes as module
from submission.serving.mounts import RERUN_VARIABLE
from submission.serving.notes import RunNotes, memory_in_use
from submission.serving.predictor import Predictor
from submission.serving.session import report
from tests.submission.serving.test_predictor import Oracle, predictor_before

MEMINFO = "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    {} kB\n"


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunNotes:
    (tmp_path / "run").mkdir()
    (tmp_path / "meminfo").write_text(MEMINFO.format(600))
    monkeypatch.setattr(module, "_MEMORY_FILE", tmp_path / "meminfo")
    return RunNotes(tmp_path / "run", tmp_path / PAGE_FILE, lambda: 7.0)


def noted(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "run" / NOTES_FILE).read_text().splitlines()]


def test_the_parts_of_the_start_are_noted_with_their_seconds(notes: RunNotes, tmp_path: Path) -> None:
    notes.worker_starts()
    for event in (
        SetupChosen("QwQ"),
        StartupPart("wheels", 95.0),
        WorkerStarted("", 1234.5),
        RequestSolved(1, 2, "", ""),
    ):
        notes.hear(event)
    notes.worker_starts()
    at = {"at": 7.0}
    assert noted(tmp_path) == [
        {"kind": "start", **at, "part": "notebook", "seconds": 7.0},
        {"kind": "setup", **at, "text": "QwQ"},
        {"kind": "start", **at, "part": "wheels", "seconds": 95.0},
        {"kind": "started", **at, "failure": "", "monotonic": 1234.5},
        {"kind": "start", **at, "part": "another worker, at 7 s", "seconds": 0.0},
    ]


def test_the_most_memory_since_the_page_before_is_noted_with_the_page(notes: RunNotes, tmp_path: Path) -> None:
    for free in (600, 200, 900):
        (tmp_path / "meminfo").write_text(MEMINFO.format(free))
        notes.look_at_memory()
    notes.write_page()
    notes.write_page()
    assert noted(tmp_path) == [{"kind": "memory", "at": 7.0, "used": 800 << 10, "total": 1_000 << 10}]
    assert "0.0 GB in use" in (tmp_path / PAGE_FILE).read_text()


def test_the_report_at_the_end_notes_the_most_memory_since_the_last_page(
    notes: RunNotes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(RERUN_VARIABLE, "1")
    notes.look_at_memory()
    report(predictor_before(Oracle(), tmp_path), notes, list, COMPETITIONS["aimo3"])
    assert noted(tmp_path) == [{"kind": "memory", "at": 7.0, "used": 400 << 10, "total": 1_000 << 10}]
    assert "at 0:00:07" in (tmp_path / PAGE_FILE).read_text()


def test_the_page_is_written_as_the_run_goes(notes: RunNotes, tmp_path: Path) -> None:
    notes.start()
    notes.want_page()
    until = time.monotonic() + 20
    while not (tmp_path / PAGE_FILE).exists() and time.monotonic() < until:
        time.sleep(0.01)
    assert (tmp_path / PAGE_FILE).exists()


def test_whatever_fails_is_printed_once_and_raises_nothing(
    notes: RunNotes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("unforeseen")

    monkeypatch.setattr(module, "write_run_page", broken)
    (tmp_path / "meminfo").unlink()
    (tmp_path / "run" / NOTES_FILE).mkdir()
    for _ in range(3):
        notes.worker_starts()
        notes.hear(SetupChosen("\ud800"))
        notes.look_at_memory()
        notes.write_page()
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 3 and all(line.startswith("the page of the run is not up to date: ") for line in printed)
    assert "KeyError: 'unforeseen'" in printed[2]


def test_memory_that_is_not_told_is_an_error() -> None:
    assert memory_in_use(MEMINFO.format(1_000)) == (0, 1_000 << 10)
    with pytest.raises(LookupError):
        memory_in_use("MemTotal: 1 kB\n")


def test_each_answer_asks_for_the_page(tmp_path: Path) -> None:
    asked: list[int] = []
    predictor: Predictor = predictor_before(Oracle(), tmp_path, noted=lambda: asked.append(len(predictor.answered)))
    for id_ in ("a", "b", "a"):
        predictor.answer(id_, "text")
    assert asked == [1, 2, 3]
    assert len((tmp_path / "record").read_text().splitlines()) == 3
