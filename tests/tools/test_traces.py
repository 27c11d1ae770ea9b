"""Traces of other projects, converted to recordings."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.runs.recordings import TRACES
from tools import traces
from tools.replay.recordings import load_recordings
from tools.traces import DIGESTS, convert, digest_text, main

RECORD: dict[str, Any] = {
    "problem_num": 3,
    "gold_answer": "073",
    "all_answers": [["73", 812], ["000", 900], ["0.436", 70], ["", 60], ["12", 100_000], ["16", 30_268]],
}


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one recording, whose digest is known."""
    text = json.dumps(RECORD) + "\n"
    digest = hashlib.sha256(digest_text(convert(text, "tiny")).encode()).hexdigest()
    monkeypatch.setattr(traces, "DIGESTS", {"tiny": digest})
    (tmp_path / "analysis_aime2024_tiny.jsonl").write_text(text, encoding="utf-8")
    return tmp_path


def test_what_was_cut_off_or_is_no_integer_is_no_answer() -> None:
    row = convert(json.dumps(RECORD), "tiny")[0]
    assert (row["problem_id"], row["answer"], row["model"]) == ("aime2024-03", 73, "tiny")
    assert [sample["answer"] for sample in row["samples"]] == [73, 0, None, None, None, None]
    assert [sample.get("truncated", False) for sample in row["samples"]] == [False] * 4 + [True] * 2


def test_a_folder_is_converted_and_can_be_replayed(source: Path, tmp_path: Path) -> None:
    assert main(["--source", str(source), "--out", str(tmp_path / "out"), "--model", "tiny"]) == 0
    recording = load_recordings([tmp_path / "out"])[0]
    assert (recording.name, len(recording.problems[0].lanes)) == ("tiny", 6)


def test_another_recording_is_refused(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = RECORD | {"all_answers": [["74", 812]]}
    (source / "analysis_aime2024_tiny.jsonl").write_text(json.dumps(changed), encoding="utf-8")
    assert main(["--source", str(source), "--out", str(tmp_path / "out")]) == 2
    assert "not the recording that was expected" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("text", "told"), [("{", "line 1"), ('{"problem_num": 1}', "gold_answer")])
def test_what_cannot_be_read_is_reported(
    source: Path, capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    (source / "analysis_aime2024_tiny.jsonl").write_text(text, encoding="utf-8")
    assert main(["--source", str(source)]) == 2
    assert told in capsys.readouterr().err


def test_missing_files_and_models_are_reported(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--source", str(source / "none")]) == 2
    assert "--source" in capsys.readouterr().err
    assert main(["--source", str(source), "--model", "other"]) == 2
    assert "tiny" in capsys.readouterr().err


@pytest.mark.skipif(not TRACES.is_dir(), reason="the shared recordings are not here")
def test_the_digests_are_those_of_the_shared_recordings() -> None:
    for model, digest in DIGESTS.items():
        lines = (TRACES / f"aime2024.{model}.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        assert hashlib.sha256(digest_text(rows).encode()).hexdigest() == digest
