"""What the build's flags set: the notebook's configuration cell, own files that are embedded, and what is attached."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode

from agent.chat.family import load_family
from agent.config import load_config
from submission.build.command import NOTEBOOK_FILE, main
from submission.metadata import KERNEL_FILE
from tests.submission.build.test_build import tagged, written

MODEL = "me/my-model/transformers/default/1"


def build(folder: Path, *flags: str) -> NotebookNode:
    assert main(["--owner", "me", "--model-source", MODEL, "--out", str(folder), *flags]) == 0
    notebook: NotebookNode = nbformat.read(folder / NOTEBOOK_FILE, as_version=4)
    return notebook


def values(notebook: NotebookNode) -> dict[str, Any]:
    """The values of the configuration cell."""
    names: dict[str, Any] = {}
    exec(tagged(notebook, "parameters")[0].source, names)
    return names


def test_by_default_the_notebook_chooses_among_what_is_attached(tmp_path: Path, capsys: Any) -> None:
    found = values(build(tmp_path))
    assert (found["PROFILE"], found["MODEL"], found["SOURCES"], found["SETTINGS"]) == ("auto", "", [MODEL], {})
    assert capsys.readouterr().err == ""


def test_single_keys_and_the_fallback_stand_in_the_configuration_cell(tmp_path: Path) -> None:
    flags = ["--samples", "12", "--set", "sampling.temperature=0.7", "--set", "sample.family=qwq-calls"]
    found = values(build(tmp_path, *flags, "--fallback", "210"))
    keys = {"sample.count": 12, "sampling.temperature": 0.7, "sample.family": "qwq-calls"}
    assert (found["SETTINGS"], found["FALLBACK"]) == (keys, 210)


def test_the_model_may_be_named_by_its_whole_path(tmp_path: Path) -> None:
    path = "/kaggle/input/models/me/my-model/transformers/default/1"
    assert values(build(tmp_path, "--model", path))["MODEL"] == path


def test_a_profile_and_a_family_of_the_user_s_own_are_embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.toml").write_text(
        f'[engine]\nkind = "vllm"\nmodel = "x"\n[sample]\ncount = 5\nfamily = "{own}/house.toml"\n'
    )
    (own / "house.toml").write_text('dialect = "chatml-fenced"\ninstructions = "A"\ntool_instructions = "B"\n')
    notebook = build(tmp_path / "out", "--profile", str(own / "mine.toml"), "--samples", "7")
    written(notebook, tmp_path / "working")
    for file in own.iterdir():
        file.unlink()
    monkeypatch.chdir(tmp_path / "working")
    found = values(notebook)
    config = load_config(found["PROFILE"], found["SETTINGS"])
    assert (config.profile, config.sample.count, config.engine.kind) == ("mine", 7, "vllm")
    assert load_family(config.sample.family).instructions == "A"
    manifest = tagged(notebook, "manifest")[0].source
    assert '"own"' in manifest and '"mine.toml"' in manifest and '"house.toml"' in manifest


def test_what_is_attached_and_the_machine_stand_in_the_metadata(tmp_path: Path) -> None:
    build(tmp_path, "--dataset-source", "you/their-gguf/3", "--machine-shape", "NvidiaRtxPro6000")
    metadata = json.loads((tmp_path / KERNEL_FILE).read_text())
    assert metadata["model_sources"] == [MODEL]
    assert metadata["dataset_sources"] == ["me/aimo-agent-wheels", "you/their-gguf/3"]
    assert metadata["machine_shape"] == "NvidiaRtxPro6000"


def test_a_missing_owner_and_a_missing_model_are_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path)]) == 0
    owner, model = capsys.readouterr().err.splitlines()
    assert owner.startswith("warning: --owner is missing: give your name on Kaggle")
    assert model.startswith("warning: no model is attached: give --model-source")


def test_a_profile_that_asks_a_server_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tmp_path, "--profile", "qwq")
    url = load_config("qwq").engine.url
    assert capsys.readouterr().err.startswith(f"warning: the profile qwq asks the server at {url}, which a notebook ")
    build(tmp_path, "--profile", "vllm")
    assert "asks the server" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "warned"),
    [
        ("/kaggle/input/models/me/my-model/transformers/default/1/awq", False),
        ("/kaggle/input/my-model/transformers/default/1", False),
        ("/kaggle/input/my-data/folder", False),
        ("my-model", False),
        ("/kaggle/input/models/me/my-model/transformers/default/2", True),
        ("/kaggle/input/models/me/other/transformers/default/1", True),
        ("/kaggle/input/models/somebody-else/my-model/transformers/default/1", True),
        ("/kaggle/input/datasets/somebody-else/my-data", True),
        ("/kaggle/input/my-model/default/transformers/1", True),
        ("/kaggle/input/folder/my-data", True),
    ],
)
def test_a_path_at_which_nothing_will_be_is_warned_of(
    path: str, warned: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(tmp_path, "--model", path, "--dataset-source", "me/my-data")
    error = capsys.readouterr().err
    assert error.startswith(f"warning: nothing that is attached will be at --model {path}: give ") is warned
    assert ("/kaggle/input/models/me/my-model/transformers/default/1, " in error) is warned


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        (["--set", "sample.number=3"], "sample.number: unknown key"),
        (["--set", "sample.count"], "--set 'sample.count' is not valid: write it as KEY=VALUE"),
        (["--samples", "0"], "sample.count"),
        (["--samples", "4", "--set", "sample.count=5"], "--samples and --set sample.count contradict each other"),
        (["--fallback", "100000"], "--fallback 100000 is no answer: give one of 0 to 99999"),
        (["--profile", "abacus"], "no profile 'abacus'"),
        (["--profile", "."], "profile . cannot be read"),
        (["--set", "sample.family=abacus"], "no family 'abacus'"),
        (["--model-source", "me/my-model"], "--model-source 'me/my-model' is no name on Kaggle: write owner/model/"),
        (["--model-source", "tests"], "write owner/model/framework/variation/version, a directory of this machine"),
        (["--dataset-source", "my-data"], "--dataset-source 'my-data' is no name on Kaggle: write owner/slug"),
        (["--owner", "My Name"], "--owner 'My Name' is no name on Kaggle: write your name on Kaggle"),
    ],
)
def test_what_is_not_valid_is_found_when_it_is_built(
    flags: list[str], fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--owner", "me", "--out", str(tmp_path), *flags]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and fault in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("edition=aimo2", "--set edition=aimo2 contradicts --edition aimo3"),
        ("budget.time_limit_seconds=18001", "--set budget.time_limit_seconds=18001 is over the competition's 18000"),
    ],
)
def test_keys_that_the_competition_does_not_allow_are_refused(
    key: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--owner", "me", "--model-source", MODEL, "--out", str(tmp_path), "--set", key]) == 2
    assert capsys.readouterr().err.startswith(f"error: {said}")


@pytest.mark.parametrize(("flags", "attached"), [([], []), (["qwq-32b-awq"], ["--attach", "qwq-32b-awq"])])
def test_one_command_builds_and_rehearses_the_notebook(
    flags: list[str], attached: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def failed(command: list[str], **keys: object) -> subprocess.CompletedProcess[str]:
        assert (tmp_path / NOTEBOOK_FILE).exists() and (tmp_path / KERNEL_FILE).exists()
        commands.append(command)
        return subprocess.CompletedProcess(command, 1)

    monkeypatch.setattr(subprocess, "run", failed)
    asked = ["--owner", "me", "--model-source", MODEL, "--samples", "12", "--out", str(tmp_path)]
    assert main([*asked, "--rehearse", *flags]) == 1
    notebook = str(tmp_path / NOTEBOOK_FILE)
    assert commands == [[sys.executable, "-m", "submission.rehearse", "--notebook", notebook, *attached]]


def test_what_is_not_valid_is_not_rehearsed_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **keys: pytest.fail("rehearsed"))
    assert main(["--samples", "0", "--out", str(tmp_path), "--rehearse"]) == 2
    assert main(["--out", str(tmp_path / "out"), "--rehearse", "nope"]) == 2
    assert "no model 'nope': give one of" in capsys.readouterr().err and not (tmp_path / "out").exists()
