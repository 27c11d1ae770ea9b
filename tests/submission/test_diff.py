"""What `submission.diff` says of two notebooks: in words what changed, nothing where nothing did."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from agent.errors import InputError
from submission.build.command import NOTEBOOK_FILE, build_notebook, write_notebook
from submission.build.command import main as build
from submission.build.packed import PACKED_FOLDERS, packed_cell
from submission.built_notebook import read_notebook
from submission.competitions import COMPETITIONS
from submission.diff.command import main
from tests.submission.build.test_build import written

MODEL = "me/my-model/transformers/default/1"


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plain") / NOTEBOOK_FILE
    write_notebook(build_notebook(COMPETITIONS["aimo3"], {}), path)
    return path


def edited(plain: Path, folder: Path, edit: Callable[[NotebookNode], None]) -> Path:
    """Another notebook, as a user who has it in an editor may change it."""
    notebook: NotebookNode = nbformat.read(plain, as_version=4)
    edit(notebook)
    write_notebook(notebook, folder / NOTEBOOK_FILE)
    return folder / NOTEBOOK_FILE


def cell_of(notebook: NotebookNode, name: str) -> NotebookNode:
    cells: list[NotebookNode] = notebook.cells
    return next(cell for cell in cells if cell.source.startswith(f"%%writefile aimo_agent/{name}\n"))


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[str]]:
    """The exit status, and the lines that were printed."""
    status = main([str(argument) for argument in arguments])
    return status, capsys.readouterr().out.splitlines()


def test_the_files_of_a_notebook_are_read_back_as_its_cells_write_them(plain: Path, tmp_path: Path) -> None:
    written(nbformat.read(plain, as_version=4), tmp_path)
    files = read_notebook(plain).files
    assert "agent/sandbox/inside/zygote.py" in files and "agent/solver.py" in files
    for name, text in files.items():
        assert (tmp_path / "aimo_agent" / name).read_text() == text


def test_a_notebook_does_not_differ_from_itself(plain: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, plain, plain) == (0, ["no differences"])


def test_outputs_are_no_differences(plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(notebook: NotebookNode) -> None:
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.execution_count = 1
                cell.outputs = [nbformat.v4.new_output("stream", text="done\n")]

    assert said(capsys, plain, edited(plain, tmp_path, run)) == (0, ["no differences"])


def test_settings_samples_and_metadata_are_compared_by_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    assert build(["--owner", "me", "--model-source", MODEL, "--out", str(one)]) == 0
    flags = ["--profile", "qwq", "--samples", "12", "--set", "sampling.temperature=0.7"]
    assert build(["--owner", "me", "--model-source", MODEL[:-1] + "2", "--out", str(other), *flags]) == 0
    capsys.readouterr()
    status, lines = said(capsys, one / NOTEBOOK_FILE, other / NOTEBOOK_FILE)
    assert status == 1
    for line in (
        '  PROFILE: "qwq", was "auto"',
        "  SETTINGS.sample.count: 12, was not set",
        "  SETTINGS.sampling.temperature: 0.7, was not set",
        "  12 for each problem, was as many as the notebook finds to fit",
        f'  model_sources: added "{MODEL[:-1]}2", removed "{MODEL}"',
    ):
        assert line in lines
    assert [line for line in lines if not line.startswith(" ")] == ["settings", "samples", "competition and metadata"]


@pytest.mark.further
def test_the_samples_of_a_profile_of_ones_own_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notebooks = []
    for count in (5, 6):
        profile = tmp_path / "mine.toml"
        profile.write_text(f'[engine]\nkind = "vllm"\nmodel = "x"\n[sample]\ncount = {count}\nfamily = "qwq"\n')
        assert build(["--profile", str(profile), "--out", str(tmp_path / str(count))]) == 0
        notebooks.append(tmp_path / str(count) / NOTEBOOK_FILE)
    capsys.readouterr()
    status, lines = said(capsys, *notebooks)
    assert status == 1
    assert lines == ["samples", "  6 for each problem, was 5", "profiles", "  your mine: sample.count: 6, was 5"]


def test_prompts_modules_and_cells_are_named(plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def edit(notebook: NotebookNode) -> None:
        family = cell_of(notebook, "agent/chat/families/qwq-calls.toml")
        family.source = family.source.replace('opening = "<think>\\n"', 'opening = "<think>\\nOkay"')
        family.source = family.source.replace("Reason step by step", "Think step by step", 1)
        voting = cell_of(notebook, "agent/policy/voting.py")
        voting.source += "\n# one\n# two"
        notebook.cells.remove(cell_of(notebook, "agent/policy/priced.py"))
        notebook.cells.append(nbformat.v4.new_code_cell("print('mine')\n1 + 1"))

    status, lines = said(capsys, plain, edited(plain, tmp_path, edit))
    assert status == 1
    assert lines[0] == "prompts"
    assert lines[1].startswith('  family qwq-calls: instructions: "Think step by step and put') and "was" in lines[1]
    assert lines[2] == '  family qwq-calls: opening: "<think>\\nOkay", was "<think>\\n"'
    assert sorted(lines[3:]) == [
        "  \"print('mine')\": added",
        "  agent/policy/priced.py: removed",
        "  agent/policy/voting.py: 2 lines added, 0 removed",
        "cells of the notebook",
        "modules",
    ]


def test_what_is_packed_is_compared_too(plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def edit(notebook: NotebookNode) -> None:
        cell = next(cell for cell in notebook.cells if "packed" in cell.metadata.get("tags", []))
        inside = {name: text for name, text in read_notebook(plain).files.items() if name in cell_names}
        inside["agent/sandbox/inside/boot.py"] += "# more\n"
        cell.source = packed_cell(inside, "aimo_agent")

    cell_names = {name for name in read_notebook(plain).files if name.startswith(PACKED_FOLDERS)}
    status, lines = said(capsys, plain, edited(plain, tmp_path, edit))
    assert (status, lines) == (1, ["modules", "  agent/sandbox/inside/boot.py: 1 line added, 0 removed"])


def test_the_versions_of_two_wheelhouses_are_compared(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, pins in {"one": "vllm==0.10.0 --hash=x\nold==1 --hash=y\n", "other": "vllm==0.11.0 --hash=z\n"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "requirements.txt").write_text(pins)
    status, lines = said(capsys, plain, plain, "--wheels", tmp_path / "one", tmp_path / "other")
    assert (status, lines) == (1, ["wheels", "  vllm: 0.11.0, was 0.10.0", "  old: not set any more, was 1"])


def test_metadata_of_one_notebook_alone_are_said_not_to_be_compared(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = edited(plain, tmp_path, lambda notebook: None)
    (tmp_path / "kernel-metadata.json").write_text("{}")
    assert main([str(plain), str(other)]) == 0
    assert "not compared: the metadata, because there is no " in capsys.readouterr().err


NOT_OURS = {
    "nothing": None,
    "text": "hello",
    "number": "7",
    "list": "[]",
    "deep": "[" * 100_000,
    "no cells": "{}",
    "odd cells": '{"cells": [7]}',
    "other": json.dumps(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")])),
}


@pytest.mark.parametrize("kind", NOT_OURS)
def test_what_is_no_notebook_of_ours_is_said_in_one_sentence(
    kind: str, plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, text = tmp_path / "a.ipynb", NOT_OURS[kind]
    if text is not None:
        path.write_text(text)
    assert main([str(plain), str(path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {path} ") and error.count("\n") == 1


def test_a_configuration_cell_that_is_no_python_is_said(plain: Path, tmp_path: Path) -> None:
    def edit(notebook: NotebookNode) -> None:
        cell = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
        cell.source += "\nFALLBACK ="

    with pytest.raises(InputError, match="cannot be read"):
        read_notebook(edited(plain, tmp_path, edit))
