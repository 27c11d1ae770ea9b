"""The genuine package's gateway beside a notebook on this machine, on a stand-in of its parts that matter here."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from submission.competitions import COMPETITIONS
from submission.rehearse.scored_gateway import run_genuine

_GATEWAY = """
import json

class Client:
    def __init__(self, channel_address="localhost"):
        self.channel_address = channel_address
        self.endpoint_deadline_seconds = 3600
        self.bound = channel_address if {binds_when_made} else None

    def send(self):
        return self.bound or self.channel_address, self.endpoint_deadline_seconds

class AIMO3Gateway:
    def __init__(self, data_paths):
        self.client = Client("inference_server")  # as in a scored run
        self.client.endpoint_deadline_seconds = 1800
        self.data_paths = data_paths

    def run(self):
        good = self.client.send() == ("localhost", 1800) and self.data_paths == ("{csv}",)
        with open("result.json", "w") as file:
            json.dump({{"Succeeded": good and {answers_are_valid}}}, file)
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "data" / "kaggle_evaluation"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    importlib.invalidate_caches()
    yield folder
    for name in [name for name in sys.modules if name.startswith("kaggle_evaluation")]:
        del sys.modules[name]


@pytest.mark.parametrize("binds_when_made", [True, False])  # as 0.3.0 does, and the versions since 0.7.0
@pytest.mark.parametrize("answers_are_valid", [True, False])
def test_the_genuine_gateway_calls_this_machine(
    binds_when_made: bool, answers_are_valid: bool, package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = _GATEWAY.format(binds_when_made=binds_when_made, answers_are_valid=answers_are_valid, csv="test.csv")
    (package / "aimo_3_gateway.py").write_text(source)
    assert run_genuine(Path("test.csv"), COMPETITIONS["aimo3"], package.parent) == (0 if answers_are_valid else 2)
    assert ("Succeeded" in capsys.readouterr().err) is not answers_are_valid
