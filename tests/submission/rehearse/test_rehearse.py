"""The rehearsal's judgement, its stage, and what it refuses; `make rehearse` itself is run in the checks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import polars as pl
import pytest

from agent.errors import InputError
from agent.hardware.detect import parse_gpus
from agent.models.chat_template import family_of_model
from agent.problems.reader import STARTER
from submission.build.command import build_notebook, write_notebook
from submission.competitions import COMPETITIONS
from submission.isolation import can_isolate, isolated
from submission.rehearse.command import main, only_one
from submission.rehearse.stage import Stage, lay_out
from submission.rehearse.verdict import log_findings, record_findings, sandbox_findings, submission_findings

pytestmark = pytest.mark.process


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(COMPETITIONS["aimo2"], tmp_path, tmp_path / "n.ipynb", Path(sys.executable), 60.0, tmp_path / "m.gguf")


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    (folder / "a.whl").touch()
    return folder


def problems(*ids: str) -> pl.DataFrame:
    return pl.DataFrame({"id": ids, "problem": ["?"] * len(ids), "answer": [1] * len(ids)})


@pytest.mark.parametrize(
    ("columns", "good"),
    [
        ({"id": ["a", "b"], "answer": [1, 999]}, True),
        ({"id": ["b", "a"], "answer": [1, 2]}, True),
        ({"id": ["a"], "answer": [1]}, False),
        ({"id": ["a", "a"], "answer": [1, 1]}, False),
        ({"id": ["a", "c"], "answer": [1, 1]}, False),
        ({"id": ["a", "b"], "answer": [1, 1_000]}, False),
        ({"id": ["a", "b"], "answer": [1, None]}, False),
        ({"id": ["a", "b"], "answer": ["1", "2"]}, False),
        ({"id": ["a", "b"], "answer": [1.0, 2.0]}, False),
        ({"answer": [1, 2]}, False),
    ],
)
def test_a_submission_is_judged_by_its_rows_and_its_answers(
    columns: dict[str, Any], good: bool, stage: Stage, tmp_path: Path
) -> None:
    pl.DataFrame(columns).write_parquet(tmp_path / "submission.parquet")
    findings = submission_findings(tmp_path / "submission.parquet", problems("a", "b"), stage)
    assert all(right for right, _ in findings) is good


def test_no_submission_is_no_pass(stage: Stage, tmp_path: Path) -> None:
    assert submission_findings(tmp_path / "nothing", problems("a"), stage) == [
        (False, "no submission.parquet was written")
    ]


def row(**changes: Any) -> str:
    return json.dumps({"id": "a", "answer": 1, "source": "vote", "seconds": 1.0, "warnings": [], **changes})


@pytest.mark.parametrize(
    ("rows", "good"),
    [
        ([row(), row(id="b", source="fallback")], True),
        ([row(source="fallback")], False),
        ([row(warnings=["the worker is gone"])], False),
        ([], False),
    ],
)
def test_a_run_passes_if_votes_came_and_nothing_went_wrong(rows: list[str], good: bool, tmp_path: Path) -> None:
    (tmp_path / "predictor.jsonl").write_text("\n".join(rows))
    problems("a", "b").write_csv(tmp_path / "reference.csv")
    findings = record_findings(tmp_path / "predictor.jsonl", tmp_path / "reference.csv")
    assert all(right for right, _ in findings) is good


@pytest.mark.parametrize(
    ("printed", "good"),
    [
        ("Python sandbox: 9 of 10 layers, a cell ran in 31 ms", True),
        ("Python sandbox: not used, as samples run no code", True),
        ("warning: samples cannot run Python: no seccomp", False),
    ],
)
def test_a_sandbox_that_was_not_seen_to_work_is_no_pass(printed: str, good: bool, tmp_path: Path) -> None:
    assert sandbox_findings(tmp_path / "nothing") == [(False, "no code was run in the sandbox")]
    output = nbformat.v4.new_output("stream", text=f"wheels: none\n{printed}\nnext")
    source = "print('Python sandbox: ')\nPython sandbox: as in the sources of the agent"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source, outputs=[output])])
    nbformat.write(notebook, tmp_path / "executed.ipynb")
    finding = printed if good else "no code was run in the sandbox"
    assert sandbox_findings(tmp_path / "executed.ipynb") == [(good, finding)]


def test_an_exception_that_the_worker_survived_is_no_pass(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    assert log_findings(log) == []
    log.write_text("loading\n")
    assert log_findings(log) == []
    raised = (
        'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\n    f()\n    ~^^\nValueError: no\n'
    )
    log.write_text(f"loading\n{raised}done\nException ignored in: <f>\n{raised}")
    assert log_findings(log) == [(False, "an exception in worker.log: ValueError: no")]


@pytest.mark.parametrize("given", [".", "kaggle_evaluation"])
def test_the_stage_is_laid_out_as_kaggle_mounts_it(given: str, stage: Stage, wheels: Path, tmp_path: Path) -> None:
    package = tmp_path / "data" / "kaggle_evaluation"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    laid_out(stage, wheels, package=package.parent / given)
    data = tmp_path / "kaggle" / "input" / "competitions" / COMPETITIONS["aimo2"].slug
    assert pl.read_csv(data / "reference.csv").equals(pl.read_csv(STARTER))
    assert pl.read_csv(data / "test.csv").columns == ["id", "problem"]
    assert (data / "kaggle_evaluation" / "__init__.py").exists()
    assert stage.package == data
    model = tmp_path / "kaggle" / "input" / "models" / "owner" / "qwq-32b-awq" / "transformers" / "default" / "1"
    assert family_of_model(model) == "qwq-calls"
    listed = subprocess.run([stage.driver / "nvidia-smi"], capture_output=True, text=True, check=True).stdout
    assert [gpu.device.name for gpu in parse_gpus(listed)] == ["L4"] * 4


def laid_out(stage: Stage, wheels: Path, **changes: Any) -> None:
    arguments = {"problems": None, "package": None, "machine": "NvidiaL4", "attached": "Qwen/QwQ-32B-AWQ"}
    lay_out(stage, wheels=wheels, **{**arguments, **changes})


def test_problems_without_answers_and_folders_without_package_are_refused(
    stage: Stage, wheels: Path, tmp_path: Path
) -> None:
    test = tmp_path / "test.csv"
    problems("a").select("id", "problem").write_csv(test)
    with pytest.raises(InputError, match="has no answers"):
        laid_out(stage, wheels, problems=test)
    with pytest.raises(InputError, match="holds no kaggle_evaluation"):
        laid_out(stage, wheels, package=tmp_path)


def test_a_machine_or_a_model_that_is_not_known_is_refused_with_what_is(stage: Stage, wheels: Path) -> None:
    with pytest.raises(InputError, match=r"the GPUs of the machine NvidiaAbacus are not known: give one of Nvidia"):
        laid_out(stage, wheels, machine="NvidiaAbacus")
    with pytest.raises(InputError, match=r"no model 'abacus-7b': give one of qwq-32b, .* or the directory of your own"):
        laid_out(stage, wheels, attached="abacus-7b")


def test_the_rehearsed_notebook_differs_by_one_cell(stage: Stage, tmp_path: Path) -> None:
    built = build_notebook(stage.competition, {"PROFILE": "cpu"})
    write_notebook(built, stage.notebook)
    rehearsed = nbformat.read(stage._parametrised(tmp_path), as_version=4)
    added = [cell for cell in rehearsed.cells if cell.id == "rehearsal"]
    assert [cell.source for cell in rehearsed.cells if cell not in added] == [cell.source for cell in built.cells]
    names: dict[str, Any] = {}
    exec(added[0].source, names)
    assert names["MARGIN_SECONDS"] < names["STAND_IN"]["budget.time_limit_seconds"] == 60.0
    assert set(names) - {"__builtins__"} == {"MARGIN_SECONDS", "STAND_IN", "LOAD_SECONDS"}


def test_bad_input_is_a_one_line_message(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--profile", "nothing", "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: no profile 'nothing'")


def test_two_rehearsals_do_not_share_a_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with only_one(tmp_path):
        assert main(["--out", str(tmp_path)]) == 2
    assert "another rehearsal runs" in capsys.readouterr().err


@pytest.mark.skipif(not can_isolate(), reason="bubblewrap is not usable here")
def test_an_isolated_command_has_its_own_tree_and_no_network(tmp_path: Path) -> None:
    scratch, kaggle = tmp_path / "scratch", tmp_path / "kaggle"
    scratch.mkdir()
    (kaggle / "working").mkdir(parents=True)
    program = (
        "import os, socket\n"
        "assert os.getcwd() == '/kaggle/working'\n"
        "open('made', 'w').close()\n"
        "open('/tmp/made', 'w').close()\n"
        "assert [name for _, name in socket.if_nameindex()] == ['lo']\n"
        "try:\n    open('/etc/made', 'w')\nexcept OSError:\n    pass\nelse:\n    raise SystemExit('written')\n"
    )
    command = isolated([sys.executable, "-I", "-c", program], scratch=scratch, kaggle=kaggle)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (kaggle / "working" / "made").exists()
    assert (scratch / "made").exists()
