"""The push, through the real `kaggle` package, against a stand-in of Kaggle's HTTP API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from submission.competitions import COMPETITIONS
from submission.push.command import main
from tests.support.servers.kaggle_stand_in import KERNEL, StandIn, standing_in
from tests.support.tiers.cases import quick_cases

KEY = "0123456789abcdef-secret"
WHEELS = {"one-1.0-py3-none-any.whl": b"1" * 3_000, "two-1.0-py3-none-any.whl": b"2"}
PUSHED = ["SaveKernel", "GetKernelSessionStatus", "ListKernelSessionOutput"]


@pytest.fixture
def kaggle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StandIn]:
    """The package speaks to the stand-in, as user `me`, and does not wait between its own attempts."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("KAGGLE_USERNAME", "me")
    monkeypatch.setenv("KAGGLE_KEY", KEY)
    monkeypatch.delenv("KAGGLE_API_TOKEN", raising=False)
    with standing_in(StandIn()) as stand_in:
        from kaggle.api import kaggle_api_extended  # type: ignore[import-untyped]
        from kagglesdk import kaggle_env  # type: ignore[import-untyped]

        monkeypatch.setitem(kaggle_env._env_to_endpoint, kaggle_env.KaggleEnv.PROD, f"{stand_in.url}/api")
        monkeypatch.setattr(kaggle_api_extended.KaggleApi, "_calculate_backoff_delay", lambda *_: 0.0)
        yield stand_in


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    notebook, wheels = tmp_path / "notebook", tmp_path / "wheels"
    for folder in (notebook, wheels):
        folder.mkdir()
    (notebook / "n.ipynb").write_text(json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    (notebook / "kernel-metadata.json").write_text(json.dumps(KERNEL))
    dataset = {"id": "me/my-wheels", "title": "My wheels", "licenses": [{"name": "other"}]}
    (wheels / "dataset-metadata.json").write_text(json.dumps(dataset))
    for name, data in WHEELS.items():
        (wheels / name).write_bytes(data)
    return notebook, wheels


def push(folders: tuple[Path, Path], *flags: str, wheels: bool = False) -> int:
    notebook, dataset = folders
    with_wheels = ["--wheels", str(dataset)] if wheels else []
    out = ["--out", str(notebook.parent / "output"), "--poll-seconds", "0", "--call-seconds", "5"]
    return main(["--notebook", str(notebook), *with_wheels, *out, *flags])


def test_all_of_it_for_a_new_dataset(kaggle: StandIn, folders: tuple[Path, Path], tmp_path: Path) -> None:
    kaggle.faults["GetDatasetStatus"] = [404, 404]  # ours, and the package's own look before it creates
    assert push(folders, "--submit", "first try", wheels=True) == 0
    assert kaggle.names == [
        *("GetDatasetStatus", "StartBlobUpload", "CreateDataset", "GetDatasetStatus", "ListDatasetFiles"),
        *(*PUSHED, "CreateCodeSubmission"),
    ]
    assert kaggle.uploaded == WHEELS
    saved = kaggle.body("SaveKernel")
    assert saved["enableInternet"] is False
    assert (saved["machineShape"], saved["sessionTimeoutSeconds"]) == ("NvidiaL4", 18_000)
    submitted = kaggle.body("CreateCodeSubmission")
    assert submitted["kernelVersion"] == 3
    assert submitted["fileName"] == "submission.parquet"
    assert (tmp_path / "output" / "submission.parquet").read_bytes() == b"rows"
    assert (tmp_path / "output" / "my-notebook.log").exists()


def test_a_dataset_that_is_there_gets_a_new_version(kaggle: StandIn, folders: tuple[Path, Path]) -> None:
    assert push(folders, wheels=True) == 0
    assert "CreateDatasetVersion" in kaggle.names
    assert "CreateDataset" not in kaggle.names
    assert "CreateCodeSubmission" not in kaggle.names, "nothing is submitted unasked"


def test_credentials_are_used_and_never_shown(
    kaggle: StandIn, folders: tuple[Path, Path], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    kaggle.faults["CreateCodeSubmission"] = [403]
    assert push(folders, "--submit", "x", wheels=True) == 2
    assert all(kaggle.authorizations), "each call was authenticated"
    shown = "".join(capfd.readouterr())
    assert "403" in shown
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert KEY not in shown
    assert KEY.encode() not in written


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        ({"SaveKernel": [404]}, "save it once"),
        ({"SaveKernel": [401]}, "make a new token"),
        ({"SaveKernel": [403]}, "rules accepted"),
        ({"SaveKernel": [429]}, "too many calls"),
        ({"SaveKernel": [500]}, "try again later"),
        ({"GetKernelSessionStatus": [401]}, "the run's status: Kaggle says 401"),
        ({"GetKernelSessionStatus": [403] * 100}, "the run's status: Kaggle says 403"),
        ({"ListKernelSessionOutput": [500] * 20}, "the run's output: Kaggle says 500"),
        ({"ListKernelSessionOutput": [403] * 20}, "the run's output: Kaggle says 403"),
        ({"CreateCodeSubmission": [400]}, "submit: Kaggle says 400, scripted 400"),
        ({"StartBlobUpload": [400] * 20}, "upload: Kaggle says 400"),
        ({"CreateDatasetVersion": [500] * 20}, "upload: Kaggle says 500"),
        ({"CreateDatasetVersion": [403] * 20}, "upload: Kaggle says 403"),
        ({"GetDatasetStatus": [401]}, "make a new token"),
        ({"ListDatasetFiles": [400]}, "the dataset's files: Kaggle says 400"),
    ],
)
def test_refusals_say_what_to_do(
    faults: dict[str, list[Any]],
    told: str,
    kaggle: StandIn,
    folders: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    kaggle.faults = faults
    assert push(folders, "--submit", "x", wheels=True) == 2
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error


def test_reads_are_tried_again_and_writes_are_not(kaggle: StandIn, folders: tuple[Path, Path]) -> None:
    passing = [500, 502, 503, 429, "reset", 408, 504]
    kaggle.faults = {
        "GetDatasetStatus": [500],
        "ListDatasetFiles": passing * 3,
        "GetKernelSessionStatus": passing * 9,
        "ListKernelSessionOutput": passing[:5],
        "get submission.parquet": [503, "reset"],
    }
    assert push(folders, "--submit", "x", wheels=True) == 0
    assert (kaggle.count("SaveKernel"), kaggle.count("CreateCodeSubmission")) == (1, 1)
    assert (folders[0].parent / "output" / "submission.parquet").read_bytes() == b"rows"


@pytest.mark.parametrize("call", quick_cases(1, ["SaveKernel", "CreateCodeSubmission"]))
def test_silence_is_not_waited_for_and_nothing_is_done_twice(
    call: str, kaggle: StandIn, folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    kaggle.faults = {call: ["hang"]}
    assert push(folders, "--submit", "x", "--call-seconds", "0.7") == 2
    assert "did not answer within" in capsys.readouterr().err
    assert [name for name, _ in kaggle.calls].count(call) == 1


@pytest.mark.parametrize(
    ("save", "told"),
    [
        ({"error": "Notebook not found"}, "save it once"),
        ({"error": "Too many GPU sessions"}, "Too many GPU sessions"),
        ({"invalidModelSources": ["q/w/q/a/1"]}, "model_sources q/w/q/a/1"),
        ({"invalidDatasetSources": ["me/my-wheels"]}, "dataset_sources me/my-wheels"),
        ({"versionNumber": None}, "no version number"),
    ],
)
def test_a_push_that_kaggle_took_only_in_part_is_not_submitted(
    save: dict[str, Any], told: str, kaggle: StandIn, folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    kaggle.save = save
    assert push(folders, "--submit", "x") == 2
    assert told in capsys.readouterr().err
    assert kaggle.names == ["SaveKernel"]


def test_a_run_that_failed_is_fetched_and_not_submitted(
    kaggle: StandIn, folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    kaggle.statuses, kaggle.failure = ["RUNNING", "ERROR"], "Your notebook timed out"
    assert push(folders, "--submit", "x") == 2
    assert "timed out" in capsys.readouterr().err
    assert (tmp_path / "output" / "my-notebook.log").exists()
    assert kaggle.names == PUSHED


def test_a_run_without_a_submission_is_not_submitted(
    kaggle: StandIn, folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    kaggle.output = {"other.txt": b""}
    assert push(folders, "--submit", "x") == 2
    assert "wrote no submission.parquet" in capsys.readouterr().err


def test_a_wheel_that_was_lost_on_the_way_is_noticed(
    kaggle: StandIn, folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    kaggle.lost_files = {next(iter(WHEELS))}
    assert push(folders, wheels=True) == 2
    assert "it lacks one-1.0" in capsys.readouterr().err
    assert "SaveKernel" not in kaggle.names


def test_a_dry_run_prints_every_call_and_makes_none(
    kaggle: StandIn, folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert push(folders, "--submit", "it's new", "--dry-run", wheels=True) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1:3] for line in lines] == [
        *(["datasets", verb] for verb in ("status", "create", "version", "files")),
        *(["kernels", verb] for verb in ("push", "status", "output")),
        ["competitions", "submit"],
    ]
    for flags in ("-k me/my-notebook", "-v VERSION", "-f submission.parquet"):
        assert flags in lines[-1]
    assert kaggle.calls == []


def test_the_run_is_limited_as_the_competition_says(
    kaggle: StandIn, folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = folders[0] / "kernel-metadata.json"
    path.write_text(path.read_text().replace("the-competition", COMPETITIONS["aimo1"].slug))
    assert push(folders, "--dry-run") == 0
    assert "-t 32400 " in capsys.readouterr().out


def test_missing_credentials_are_reported_in_a_one_line_message(
    kaggle: StandIn, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("KAGGLE_USERNAME")
    monkeypatch.delenv("KAGGLE_KEY")
    assert push(folders) == 2
    captured = capsys.readouterr()
    assert "no valid Kaggle credentials" in captured.err
    assert captured.out == ""


def test_wheels_that_the_notebook_does_not_use_are_an_error(
    kaggle: StandIn, folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = folders[0] / "kernel-metadata.json"
    path.write_text(path.read_text().replace('["me/my-wheels"]', "[]"))
    assert push(folders, wheels=True) == 2
    assert "add me/my-wheels" in capsys.readouterr().err
    assert kaggle.calls == []
