"""What a build must not lose or leave half written, and what of profile, machine and model it warns of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from submission.build.command import NOTEBOOK_FILE, main
from submission.metadata import KERNEL_FILE

FLAGS = ["--owner", "me", "--model-source", "me/my-model/transformers/default/1"]
GGUF = ["--owner", "me", "--model-source", "me/my-model/gguf/default/1"]


def edited(path: Path, change: Callable[[dict[str, object]], None]) -> str:
    """Change a cell of the notebook as an editor does, which lays the file out anew; its text then."""
    tree = json.loads(path.read_text(encoding="utf-8"))
    change(next(cell for cell in tree["cells"] if "parameters" in cell["metadata"].get("tags", [])))
    for cell in tree["cells"]:
        cell["source"] = cell["source"].splitlines(keepends=True)
    path.write_text(json.dumps(tree), encoding="utf-8")
    return path.read_text(encoding="utf-8")


def test_a_notebook_that_was_edited_is_kept_beside_the_next_build(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / NOTEBOOK_FILE
    for kept in ("aimo-agent.edited.ipynb", "aimo-agent.edited1.ipynb"):
        assert main([*FLAGS, "--out", str(tmp_path)]) == 0
        text = edited(path, lambda cell: cell.update(source=f"{cell['source']}\nMINE = 1"))
        capsys.readouterr()
        assert main([*FLAGS, "--samples", "3", "--out", str(tmp_path)]) == 0
        assert f"is not as it was built, and is kept as {kept}: " in capsys.readouterr().err
        assert (tmp_path / kept).read_text(encoding="utf-8") == text
        assert "MINE" not in path.read_text(encoding="utf-8")


def test_outputs_and_another_layout_are_no_edit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*FLAGS, "--out", str(tmp_path)]) == 0
    edited(tmp_path / NOTEBOOK_FILE, lambda cell: cell.update(outputs=[], execution_count=3))
    assert main([*FLAGS, "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().err == ""
    assert {path.name for path in tmp_path.iterdir()} == {NOTEBOOK_FILE, KERNEL_FILE}


@pytest.mark.parametrize("text", ["", "{}", '{"metadata": 1}', "[" * 100_000])
def test_a_file_that_no_build_wrote_is_kept_too(text: str, tmp_path: Path) -> None:
    (tmp_path / NOTEBOOK_FILE).write_text(text)
    assert main([*FLAGS, "--out", str(tmp_path)]) == 0
    assert (tmp_path / "aimo-agent.edited.ipynb").read_text() == text


def test_a_build_that_fails_leaves_the_former_one_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    assert main([*FLAGS, "--out", str(tmp_path)]) == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    capsys.readouterr()
    assert main([*FLAGS, "--model-source", "nothing", "--samples", "3", "--out", str(tmp_path)]) == 2
    monkeypatch.setattr("agent.files.whole_file.os.fsync", full)
    assert main([*FLAGS, "--samples", "3", "--out", str(tmp_path)]) == 2
    _, error = capsys.readouterr().err.splitlines()
    fault = "cannot be written (No space left on device): make room, or name another --out"
    assert error == f"error: {tmp_path / NOTEBOOK_FILE} {fault}"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_profile_of_one_s_own_has_to_name_its_engine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "mine.toml"
    own.write_text("[sample]\ncount = 12\n")
    asked = [*FLAGS, "--out", str(tmp_path / "out"), "--profile", str(own)]
    assert main(asked) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: profile {own} sets no engine.kind, and would run a GGUF file on the CPU: ")
    assert "begin with a copy of agent/profiles/kaggle-h100.toml" in error and not (tmp_path / "out").exists()
    assert main([*asked, "--set", "engine.kind=vllm", "--set", "engine.model=x"]) == 0


@pytest.mark.parametrize(
    ("flags", "warned"),
    [
        ([*FLAGS, "--profile", "kaggle-h100"], ""),
        ([*FLAGS, "--profile", "vllm", "--machine-shape", "NvidiaTeslaT4"], ""),
        ([*FLAGS, "--machine-shape", "NvidiaTeslaT4"], ""),
        (
            [*FLAGS, "--profile", "kaggle-h100", "--machine-shape", "NvidiaTeslaT4"],
            "is for 1 x H100, and NvidiaTeslaT4",
        ),
        (
            [*FLAGS, "--profile", "kaggle-l4x4", "--machine-shape", "NvidiaL4X1"],
            "is for 4 x L4, and NvidiaL4X1 has 1 x ",
        ),
        ([*FLAGS, "--profile", "kaggle-h100", "--machine-shape", "NvidiaTeslaT4Highmem"], ""),
        ([*FLAGS, "--profile", "cpu"], "the profile cpu runs a GGUF file on the CPU, and none is attached"),
        ([*FLAGS, "--profile", "cpu", "--dataset-source", "me/my-data"], ""),
        ([*GGUF, "--profile", "cpu"], ""),
        ([*GGUF, "--profile", "kaggle-h100"], "the profile kaggle-h100 runs a directory on vLLM, and a GGUF model is"),
        ([*FLAGS, *GGUF, "--profile", "kaggle-h100"], ""),
    ],
)
def test_a_profile_that_cannot_run_what_is_attached_on_the_machine_is_warned_of(
    flags: list[str], warned: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*flags, "--out", str(tmp_path)]) == 0
    error = capsys.readouterr().err
    assert (error.count("warning: "), warned in error) == (int(bool(warned)), True)
