"""The built notebook: the same bytes each time, complete, checked against its digests, fit to read."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

from agent.errors import InputError
from submission.build.command import NOTEBOOK_FILE, build_notebook, main, write_notebook
from submission.build.embedded_files import embedded_files
from submission.built_notebook import CODE_FOLDER
from submission.competitions import COMPETITIONS
from submission.metadata import KERNEL_FILE
from submission.rehearse.page import write_page
from tests.support.tiers.cases import quick_cases

ROOT = Path(__file__).parents[3]
EDITIONS = quick_cases(1, sorted(COMPETITIONS, reverse=True))


@pytest.fixture(scope="module")
def notebook() -> NotebookNode:
    return build_notebook(COMPETITIONS["aimo3"], {"PROFILE": "cpu"})


def tagged(notebook: NotebookNode, tag: str) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def written(notebook: NotebookNode, folder: Path) -> None:
    """Write the files as IPython's own magic would, from the cells as IPython would read them, and unpack the rest."""
    for cell in tagged(notebook, "module"):
        body = "".join(cell.source.splitlines(keepends=True)[1:])
        path = folder / cell.source.split("\n")[0].removeprefix("%%writefile ")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body if body.endswith("\n") else body + "\n")
    with contextlib.chdir(folder):
        for cell in [*tagged(notebook, "folders"), *tagged(notebook, "packed")]:
            exec(cell.source, {})


@pytest.mark.process
def test_the_same_sources_give_the_same_bytes_in_another_process(notebook: NotebookNode, tmp_path: Path) -> None:
    write_notebook(notebook, tmp_path / "here.ipynb")
    command = [sys.executable, "-m", "submission.build", "--profile", "cpu", "--out", str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "PYTHONHASHSEED": "7"}, capture_output=True)
    assert (tmp_path / NOTEBOOK_FILE).read_bytes() == (tmp_path / "here.ipynb").read_bytes()


@pytest.mark.parametrize("edition", EDITIONS)
def test_every_edition_has_a_valid_notebook_and_metadata(edition: str, tmp_path: Path) -> None:
    assert main(["--edition", edition, "--owner", "me", "--out", str(tmp_path)]) == 0
    cells = nbformat.read(tmp_path / NOTEBOOK_FILE, as_version=4)
    nbformat.validate(cells)
    assert cells.metadata.kernelspec.name == "python3"
    assert f'EDITION = "{edition}"' in tagged(cells, "parameters")[0].source
    assert len({cell.id for cell in cells.cells}) == len(cells.cells)
    metadata = json.loads((tmp_path / KERNEL_FILE).read_text())
    assert metadata["enable_internet"] is False
    assert metadata["competition_sources"] == [COMPETITIONS[edition].slug]


@pytest.mark.parametrize("edition", EDITIONS)
def test_kaggle_takes_a_notebook_of_this_size(edition: str) -> None:
    """It refuses sources of one megabyte and more; its client sends the notebook as compact ASCII."""
    sent = json.dumps(build_notebook(COMPETITIONS[edition], {"PROFILE": COMPETITIONS[edition].profile}))
    assert len(sent) < 1_000_000


def test_no_command_is_embedded_that_only_people_start_and_nothing_that_needs_the_network() -> None:
    names = set(embedded_files())
    assert not {name for name in names if name.startswith(("agent/sandbox/cli/", "agent/cli/", "agent/views/"))}
    assert "agent/sandbox/inside/zygote.py" in names and "agent/sandbox/__main__.py" not in names
    assert names.isdisjoint({"agent/models/store.py", "agent/models/hub.py", "agent/models/carriers.py"})


def test_every_module_that_is_started_as_a_process_is_embedded() -> None:
    sources = {name: text for name, text in embedded_files().items() if name.endswith(".py")}
    started = {
        found for text in sources.values() for found in re.findall(r'"-m", "((?:agent|submission)[.\w]+)"', text)
    }
    assert started >= {"agent.engine.guardian", "agent.engine.llamacpp.embedded_server", "submission.worker"}
    for module in started:
        path = module.replace(".", "/")
        assert sources.keys() & {f"{path}.py", f"{path}/__main__.py"}, module


def test_the_files_that_the_cells_write_are_those_of_the_repository(notebook: NotebookNode, tmp_path: Path) -> None:
    written(notebook, tmp_path)
    for name, text in embedded_files().items():
        if text:
            assert (tmp_path / CODE_FOLDER / name).read_text() == (ROOT / name).read_text()


@pytest.mark.process
def test_the_manifest_names_a_changed_file_and_refuses_a_missing_one(notebook: NotebookNode, tmp_path: Path) -> None:
    written(notebook, tmp_path)
    check = tagged(notebook, "manifest")[0].source
    good = subprocess.run([sys.executable, "-c", check], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert good.returncode == 0, good.stderr
    changed = tmp_path / CODE_FOLDER / "agent" / "policy" / "voting.py"
    changed.write_text(changed.read_text() + "\n")
    bad = subprocess.run([sys.executable, "-c", check], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert bad.returncode == 0, bad.stderr
    said = f"{len(embedded_files())} files checked, 1 changed since the notebook was built"
    assert bad.stdout.splitlines() == [said, "  agent/policy/voting.py"]
    changed.unlink()
    missing = subprocess.run([sys.executable, "-c", check], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert missing.returncode != 0
    assert "agent/policy/voting.py has not been written: run the notebook from the top" in missing.stderr


@pytest.mark.process
def test_what_is_written_needs_nothing_of_the_repository(notebook: NotebookNode, tmp_path: Path) -> None:
    written(notebook, tmp_path)
    subprocess.run([sys.executable, "-c", tagged(notebook, "manifest")[0].source], cwd=tmp_path, check=True)
    modules = [name.removesuffix(".py").replace("/", ".") for name in embedded_files() if name.endswith(".py")]
    plain = [name.removesuffix(".__init__") for name in modules if "inside" not in name and "_server" not in name]
    program = (
        "import importlib, sys\n"
        f"sys.path[:] = [{str(tmp_path / CODE_FOLDER)!r}, *(p for p in sys.path if p and p != {str(ROOT)!r})]\n"
        "sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in str(f).lower()]\n"
        f"for name in {plain!r}:\n"
        f"    module = importlib.import_module(name)\n"
        f"    assert module.__file__.startswith({str(tmp_path)!r}), module.__file__\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.process
def test_the_notebook_s_own_process_keeps_to_the_image(notebook: NotebookNode) -> None:
    """What the notebook itself imports is there on Kaggle: the standard library and polars."""
    program = (
        "import sys\n"
        "before = set(sys.modules)\n"
        "import agent.problems.reader\n"
        "import submission.serving.predictor, submission.serving.session\n"
        "import submission.serving.evaluation, submission.serving.mounts\n"
        "files = {name: str(getattr(sys.modules[name], '__file__', '')) for name in set(sys.modules) - before}\n"
        "print(*{name.split('.')[0] for name, file in files.items() if 'site-packages' in file})\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {name for name in done.stdout.split() if "polars" not in name} <= {"typing_extensions"}


def test_every_code_cell_is_python(notebook: NotebookNode) -> None:
    transform = TransformerManager().transform_cell  # type: ignore[no-untyped-call]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            compile(transform(cell.source), "cell", "exec")


def test_a_setting_that_the_notebook_does_not_have_is_an_error() -> None:
    with pytest.raises(InputError, match="no PROFIL:"):
        build_notebook(COMPETITIONS["aimo3"], {"PROFILE": "cpu", "PROFIL": "cpu"})


def test_a_profile_that_does_not_exist_is_an_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--profile", "kaggle-abacus", "--out", str(tmp_path)]) == 2
    assert "no profile 'kaggle-abacus'" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_an_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert main(["--profile", "cpu", "--out", str(tmp_path / "file" / "here")]) == 2
    assert "cannot be made a folder (Not a directory): name another --out" in capsys.readouterr().err


@pytest.mark.further
def test_the_page_folds_the_source_and_shows_the_story(notebook: NotebookNode, tmp_path: Path) -> None:
    few = NotebookNode(notebook)
    vote = [cell for cell in tagged(notebook, "module") if "agent/policy/voting.py" in cell.source.split("\n")[0]]
    few.cells = [cell for cell in notebook.cells if cell in vote or cell not in tagged(notebook, "module")]
    write_notebook(few, tmp_path / "n.ipynb")
    write_page(tmp_path / "n.ipynb", tmp_path / "n.html")
    page = (tmp_path / "n.html").read_text()
    assert page.count("<summary>") == 3
    assert "<summary>agent/policy/voting.py" in page
    assert page.index("An AIMO agent") < page.index("Configuration") < page.index("agent/policy/voting.py")


@pytest.mark.parametrize(("edition", "often"), [("aimo1", "once"), ("aimo3", "2 times")])
def test_how_often_kaggle_runs_the_notebook_is_said(
    edition: str, often: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    flags = ["--owner", "me", "--model-source", "me/own/transformers/default/1", "--out", str(tmp_path)]
    assert main([*flags, "--edition", edition]) == 0
    assert f"runs it {often} for the private score" in capsys.readouterr().out
