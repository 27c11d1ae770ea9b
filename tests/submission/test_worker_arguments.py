"""The command lines of the worker and its launcher: anything but what the notebook writes is a one-line error."""

from __future__ import annotations

import sys

import pytest

from agent.errors import InputError
from submission.protocol import WorkerSettings
from submission.worker import launch
from submission.worker.worker import settings_given

SETTINGS = WorkerSettings("cpu", "run", 10.0).to_json()


def test_the_settings_are_the_only_argument() -> None:
    assert settings_given([SETTINGS]) == WorkerSettings("cpu", "run", 10.0)


@pytest.mark.parametrize(
    "arguments", [[], ["--help"], [""], ["{}"], ["[" * 100_000], [SETTINGS[:-1]], [SETTINGS, SETTINGS]]
)
def test_other_arguments_are_refused_with_what_belongs_there(arguments: list[str]) -> None:
    with pytest.raises(InputError, match=r"start it with the JSON text that WorkerSettings\.to_json writes"):
        settings_given(arguments)


@pytest.mark.parametrize("arguments", [[], ["--help"], ["", SETTINGS], ["", "", SETTINGS, ""]])
def test_the_launcher_names_its_arguments(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["launch", *arguments])
    with pytest.raises(SystemExit) as end:
        launch.main()
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("error: give three arguments: WHEELS ENVIRONMENT SETTINGS")
