"""What the push waits for, and what it takes for the pushed version's own: status, output, dataset."""
# ruff: noqa: F811  # fixtures of the other file

from __future__ import annotations

import itertools
import shlex
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from submission.push.kaggle_wait import SETTLING_LOOKS
from tests.submission.push.test_push import folders, kaggle, push  # noqa: F401
from tests.support.servers.kaggle_stand_in import StandIn
from tests.support.tiers.cases import quick_cases

Folders = tuple[Path, Path]


def kept(folders: Folders, name: str = "submission.parquet") -> bytes:
    return (folders[0].parent / "output" / name).read_bytes()


def command_of(text: str) -> list[str]:
    """The words of the command line that a message tells to run."""
    return shlex.split(text[text.index("kaggle competitions submit") :].splitlines()[0])


@pytest.fixture
def hours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten minutes go by from one glance at the clock to the next."""
    clock = itertools.count(0.0, 600.0)
    stopped = SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda seconds: None)
    monkeypatch.setattr("submission.push.kaggle_wait.time", stopped)


@pytest.mark.parametrize("labels", [("v3",), ("3",), ("3", "v3"), ()])
@pytest.mark.parametrize("old", quick_cases(1, ["COMPLETE", "ERROR", "CANCEL_ACKNOWLEDGED"]))
@pytest.mark.parametrize("stale", [0, 1, 7])
def test_the_end_of_the_previous_version_does_not_count_for_the_pushed_one(
    labels: tuple[str, ...],
    old: str,
    stale: int,
    kaggle: StandIn,
    folders: Folders,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kaggle.labels, kaggle.old_status, kaggle.stale_looks = labels, old, stale
    assert push(folders, "--submit", "x") == 0
    assert kept(folders) == b"rows"
    assert kept(folders, "my-notebook.log") == b'["the new run\'s log"]'
    assert kaggle.statuses == ["COMPLETE"], "it was seen to complete"
    assert kaggle.body("CreateCodeSubmission")["kernelVersion"] == 3
    assert "old version" not in capsys.readouterr().err


@pytest.mark.parametrize("refused", [400, 403, 404, 422, 501])
def test_a_server_that_knows_no_labels_is_asked_for_the_latest_session(
    refused: int, kaggle: StandIn, folders: Folders
) -> None:
    kaggle.labels, kaggle.refused_label, kaggle.stale_looks = (), refused, 5
    assert push(folders, "--submit", "x") == 0
    assert kept(folders) == b"rows"


def test_a_server_that_does_not_look_at_labels_is_not_trusted_with_an_early_end(
    kaggle: StandIn, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kaggle, "_is_of_the_old_version", lambda body: kaggle.stale_looks > 0)
    kaggle.stale_looks = SETTLING_LOOKS - 1
    assert push(folders, "--submit", "x") == 0
    assert kept(folders) == b"rows"


def test_a_session_that_ran_before_is_not_the_start_of_the_pushed_one(kaggle: StandIn, folders: Folders) -> None:
    kaggle.labels = ()
    kaggle.old_status = "RUNNING"
    kaggle.statuses = ["COMPLETE"] * 4 + ["QUEUED", "RUNNING", "ERROR"]  # the first ones are still the old version's
    assert push(folders, "--submit", "x") == 2
    assert "CreateCodeSubmission" not in kaggle.names


def test_an_end_without_a_start_is_believed_once_it_stays(kaggle: StandIn, folders: Folders) -> None:
    kaggle.statuses = ["COMPLETE"]
    assert push(folders, "--submit", "x") == 0
    assert kaggle.count("GetKernelSessionStatus") >= SETTLING_LOOKS
    assert kaggle.count("CreateCodeSubmission") == 1


@pytest.mark.parametrize("labels", [("v3",), ()])
@pytest.mark.parametrize(("end", "told"), [("ERROR", "ended as error"), ("CANCEL_ACKNOWLEDGED", "ended as cancelled")])
def test_a_new_version_that_fails_is_reported_with_its_own_reason(
    labels: tuple[str, ...],
    end: str,
    told: str,
    kaggle: StandIn,
    folders: Folders,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kaggle.labels, kaggle.statuses, kaggle.failure = labels, ["QUEUED", "RUNNING", end], "CUDA out of memory"
    assert push(folders, "--submit", "x") == 2
    error = capsys.readouterr().err
    assert told in error
    assert "CUDA out of memory" in error
    assert "old version" not in error
    assert "competitions submit" not in error, "there is nothing to submit"
    assert "CreateCodeSubmission" not in kaggle.names


def test_unknown_states_are_waited_for(kaggle: StandIn, folders: Folders) -> None:
    kaggle.statuses = [None, "", "PREPARING", "queued", "CANCEL_REQUESTED", "Running", 7, "KernelWorkerStatus.COMPLETE"]
    kaggle.processing = ["indexing", None, "", "REPROCESSING", "ready"]
    kaggle.after_upload = ["", "VIRUS_SCAN", None, "Ready"]
    assert push(folders, "--submit", "x", wheels=True) == 0
    assert kaggle.count("CreateCodeSubmission") == 1


@pytest.mark.parametrize("word", ["PREEMPTED", "Starting up", "[/odd]", "running", None, ""])
def test_the_time_out_names_the_state(
    word: str | None, hours: None, kaggle: StandIn, folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    kaggle.statuses = [word]
    assert push(folders, "--submit", "x") == 2
    error = capsys.readouterr().err
    assert f"the run is still in the state {word!r} after " in error
    assert command_of(error)[-6:] == ["-v", "3", "-f", "submission.parquet", "-m", "x"]
    assert "Traceback" not in error
    assert "CreateCodeSubmission" not in kaggle.names


def test_what_the_notebook_holds_of_the_agent_is_not_fetched(kaggle: StandIn, folders: Folders) -> None:
    modules = {f"aimo_agent/agent/m{n}.py": b"" for n in range(60)}
    kept_files = {"run/journal.jsonl": b"{}", "run/a/engine.log": b"log", "submission.parquet": b"rows", "x.log": b""}
    kaggle.output = {**modules, **kept_files, "reference-problems.csv": b""}
    assert push(folders) == 0
    assert sorted(kaggle.fetched) == sorted(kept_files)
    assert {name: kept(folders, name) for name in kept_files} == kept_files
    assert kaggle.count("ListKernelSessionOutput") >= 4, "all pages were walked"


@pytest.mark.further
def test_a_file_that_hangs_costs_neither_the_others_nor_the_submission(
    kaggle: StandIn, folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    kaggle.output = {"run/engine.log": b"", "run/worker.log": b"w", "submission.parquet": b"rows"}
    kaggle.faults = {"get run/engine.log": ["hang"] * 9, "get run/worker.log": ["hang"]}
    assert push(folders, "--submit", "x", "--call-seconds", "0.4") == 0
    assert "not fetched: the file run/engine.log: Kaggle" in capsys.readouterr().err
    assert kept(folders, "run/worker.log") == b"w", "it was tried again"
    assert not (folders[0].parent / "output" / "run" / "engine.log").exists()
    assert kaggle.count("CreateCodeSubmission") == 1


@pytest.mark.parametrize("fault", quick_cases(3, [403, 500, "reset", "hang"]))
def test_a_submission_that_cannot_be_fetched_does_not_count_as_kept(
    fault: object, kaggle: StandIn, folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    kaggle.faults = {"get submission.parquet": [fault] * 9}
    assert push(folders, "--call-seconds", "0.4") == 2
    error = capsys.readouterr().err
    assert "the file submission.parquet: Kaggle" in error
    assert command_of(error)[:4] == ["kaggle", "competitions", "submit", "the-competition"]
    assert not (folders[0].parent / "output" / "submission.parquet").exists()


def test_an_output_folder_that_cannot_be_written_does_not_cost_the_submission(
    kaggle: StandIn, folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    (folders[0].parent / "output").write_text("a file")
    assert push(folders, "--submit", "x") == 0
    assert "not fetched: the file submission.parquet" in capsys.readouterr().err
    assert kaggle.count("CreateCodeSubmission") == 1


def test_a_file_name_that_leads_out_of_the_folder_is_not_written(kaggle: StandIn, folders: Folders) -> None:
    kaggle.output = {"run/../../escaped.log": b"", "submission.parquet": b"rows"}
    assert push(folders) == 0
    assert kaggle.fetched == ["submission.parquet"]


def test_answers_that_are_no_answers_are_asked_for_again(kaggle: StandIn, folders: Folders) -> None:
    kaggle.faults = {"GetKernelSessionStatus": ["garbage", 200, "garbage"], "ListKernelSessionOutput": ["garbage"]}
    assert push(folders, "--submit", "x") == 0
    assert kept(folders) == b"rows"


def test_an_output_that_is_listed_late_is_waited_for(
    kaggle: StandIn, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = kaggle._ListKernelSessionOutput
    late = iter([{"files": None}, {}])
    monkeypatch.setattr(kaggle, "_ListKernelSessionOutput", lambda body: next(late, None) or listed(body))
    kaggle.labels = ("3",)
    assert push(folders, "--submit", "x") == 0


@pytest.mark.parametrize(
    ("flags", "faults", "status"),
    [
        ([], {}, 0),
        (["--submit", "it's [/new] $x"], {"CreateCodeSubmission": [500]}, 2),
        (["--submit", "x"], {"ListKernelSessionOutput": [500] * 9}, 2),
        (["--submit", "x"], {"GetKernelSessionStatus": [200, 200, 200, 401]}, 2),
    ],
)
def test_the_command_to_submit_by_hand_submits_the_pushed_version(
    flags: list[str],
    faults: dict[str, list[Any]],
    status: int,
    kaggle: StandIn,
    folders: Folders,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kaggle.faults = faults
    assert push(folders, *flags) == status
    words = command_of(capsys.readouterr().err)
    kaggle.calls.clear()
    monkeypatch.setattr(sys, "argv", words)
    from kaggle import cli  # type: ignore[import-untyped]

    cli.main()
    sent = kaggle.body("CreateCodeSubmission")
    assert (sent["competitionName"], sent["kernelOwner"], sent["kernelSlug"]) == (
        "the-competition",
        "me",
        "my-notebook",
    )
    assert (sent["kernelVersion"], sent["fileName"]) == (3, "submission.parquet")
    assert sent["submissionDescription"] == (flags[1] if flags else "my-notebook version 3")


def test_a_submission_that_is_one_call_too_many_is_made_later(kaggle: StandIn, folders: Folders) -> None:
    kaggle.faults = {"CreateCodeSubmission": [429, 429]}
    assert push(folders, "--submit", "x") == 0
    assert kaggle.count("CreateCodeSubmission") == 3


def test_a_wait_that_is_interrupted_says_how_to_submit(
    kaggle: StandIn, folders: Folders, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("submission.push.kaggle_wait.time", SimpleNamespace(monotonic=lambda: 0.0, sleep=interrupt))
    assert push(folders, "--submit", "x") == 130
    assert command_of(capsys.readouterr().err)[:3] == ["kaggle", "competitions", "submit"]
