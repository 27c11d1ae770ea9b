"""The dataset of wheels: what is waited for before and after its upload."""
# ruff: noqa: F811  # fixtures of the other files

from __future__ import annotations

from typing import Any

import pytest

from tests.submission.push.test_push import WHEELS, folders, kaggle, push  # noqa: F401
from tests.submission.push.test_push_waits import Folders, hours  # noqa: F401
from tests.support.servers.kaggle_stand_in import StandIn


@pytest.mark.parametrize("word", ["BLOBS_RECEIVED", "QUARANTINED", "", None])
@pytest.mark.parametrize("before", [True, False])
def test_a_dataset_that_is_stuck_ends_in_a_one_line_message(
    word: str | None,
    before: bool,
    hours: None,
    kaggle: StandIn,
    folders: Folders,
    capsys: pytest.CaptureFixture[str],
) -> None:
    setattr(kaggle, "processing" if before else "after_upload", [word] * 100)
    assert push(folders, wheels=True) == 2
    assert f"is still in the state {word or ''!r} after " in capsys.readouterr().err
    assert "SaveKernel" not in kaggle.names
    assert ("StartBlobUpload" in kaggle.names) is not before, "nothing is uploaded that would be refused"


def test_a_dataset_version_waits_for_the_one_before(kaggle: StandIn, folders: Folders) -> None:
    kaggle.processing = ["BLOBS_RECEIVED"] * 6
    kaggle.faults["CreateDatasetVersion"] = [403, 403]  # the status may be ahead of the refusals
    assert push(folders, wheels=True) == 0
    assert kaggle.count("CreateDatasetVersion") == 3
    assert kaggle.uploaded == WHEELS


def test_a_dataset_that_fails_is_not_used(
    kaggle: StandIn, folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    kaggle.after_upload = ["BLOBS_RECEIVED", "FAILED"]
    assert push(folders, wheels=True) == 2
    assert "is not complete (it is failed)" in capsys.readouterr().err
    assert "SaveKernel" not in kaggle.names


def test_a_dataset_whose_previous_version_failed_gets_a_new_one(kaggle: StandIn, folders: Folders) -> None:
    kaggle.processing = ["FAILED"]
    kaggle.after_upload = ["FAILED", "BLOBS_RECEIVED"]  # the first one is still the old version's
    assert push(folders, wheels=True) == 0


def test_files_of_a_dataset_that_come_late_are_waited_for(
    kaggle: StandIn, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = kaggle._ListDatasetFiles
    kaggle.lost_files = set(WHEELS)

    def late(body: dict[str, Any]) -> dict[str, Any]:
        if kaggle.count("ListDatasetFiles") > 5:
            kaggle.lost_files = set()
        return listed(body)

    monkeypatch.setattr(kaggle, "_ListDatasetFiles", late)
    assert push(folders, wheels=True) == 0
