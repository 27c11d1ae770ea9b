"""The environment of a rehearsal: a fresh Python and a /kaggle tree like Kaggle's, and a notebook run in them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import nbformat
from nbformat import NotebookNode

from agent.errors import InputError
from agent.problems.reader import STARTER, load_problems
from agent.problems.writer import write_problems
from agent.types import Problem
from submission.competitions import Competition
from submission.environment import create_environment
from submission.isolation import can_isolate, isolated, offline_environment
from submission.machine import put_driver
from submission.rehearse.attached import attach_model
from submission.serving.local_gateway import SUBMISSION_FILE
from submission.serving.mounts import RERUN_VARIABLE, ROOT_VARIABLE
from submission.serving.problem_table import table_of, write_table

_ROOT = Path(__file__).parents[2]
_REFERENCE = "reference.csv"
# The packages of Kaggle's image used by the notebook itself and the genuine package; the agent installs its own.
_IMAGE = ("pip", "ipykernel", "nbclient", "nbformat", "numpy", "pandas", "pyarrow", "polars", "grpcio", "protobuf")
_SHARES = 16  # in a run's time, one a problem at least; the agent itself counts on the problems of a scored run
_SPARE_SECONDS = 120.0  # for a run, in addition to the time limit of its problems
# A small model on the CPU in place of the GPU's engine, and what is small about it.
_STAND_IN: dict[str, object] = {
    "engine.kind": "embedded",
    "engine.check": "never",  # so small a model knows nothing
    "sample.count": 2,
    "sample.max_tokens": 64,
    "sample.max_rounds": 1,
    "engine.context_tokens": 1_536,
    "sandbox.memory_mib": 1_024,
    "budget.answer_reserve_seconds": 5,
}


@dataclass(frozen=True, slots=True)
class Stage:
    """The directories of a rehearsal, all below `out`; a run has `seconds` for its start and its problems.

    `stand_in` is the GGUF file that answers in place of the attached model; in the scored run, where the gateway's
    patience counts, it plays to load for `load_seconds` more, as a big model does for minutes.
    """

    competition: Competition
    out: Path
    notebook: Path
    image: Path
    seconds: float
    stand_in: Path
    load_seconds: float = 0.0

    @property
    def driver(self) -> Path:
        """The directory of the program that lists the GPUs."""
        return self.out / "driver"

    @property
    def kaggle(self) -> Path:
        """The directory that is mounted as /kaggle."""
        return self.out / "kaggle"

    @property
    def working(self) -> Path:
        """The working directory of the notebook."""
        return self.kaggle / "working"

    @property
    def csv(self) -> Path:
        """The problems, with their answers."""
        return self._data / _REFERENCE

    @property
    def package(self) -> Path | None:
        """The folder with the genuine evaluation package, if the rehearsal has one."""
        return self._data if (self._data / self.competition.package).is_dir() else None

    @property
    def _data(self) -> Path:
        return self.kaggle / "input" / "competitions" / self.competition.slug

    def executed(self, *, rerun: bool) -> Path:
        """The notebook with its outputs."""
        return self.folder(rerun=rerun) / "executed.ipynb"

    def folder(self, *, rerun: bool) -> Path:
        """The directory with the results of a run."""
        return self.out / ("scored" if rerun else "interactive")

    def submission(self, *, rerun: bool) -> Path:
        """The file that decides the score."""
        return (self.folder(rerun=rerun) if rerun and not self._iterates else self.working) / SUBMISSION_FILE

    @property
    def _iterates(self) -> bool:
        """Whether the notebook itself requests the problems, as in AIMO-1."""
        return self.competition.server is None

    def execute(self, *, rerun: bool, tell: Callable[[str], None]) -> str | None:
        """Run the notebook; return what went wrong as a one-line message, or None."""
        folder, scratch = self.folder(rerun=rerun), self.out / "tmp"
        for emptied in (folder, scratch, self.working):
            shutil.rmtree(emptied, ignore_errors=True)
            emptied.mkdir(parents=True)
        parametrised = self._parametrised(folder, load_seconds=self.load_seconds if rerun else 0.0)
        command = [
            str(self.image),
            "-m",
            "submission.rehearse.execute",
            str(parametrised),
            str(self.executed(rerun=rerun)),
        ]
        command.append(str(int(self.seconds + self.load_seconds + _SPARE_SECONDS)))
        if rerun and not self._iterates:
            command += self._gateway(folder)
        environment = {**_plain_environment(), "PYTHONPATH": str(_ROOT)}
        environment["PATH"] = f"{self.driver}{os.pathsep}{environment.get('PATH', os.defpath)}"
        if rerun:
            environment[RERUN_VARIABLE] = "1"
        if can_isolate():
            command = isolated(command, scratch=scratch, shared=[self.out, _ROOT], kaggle=self.kaggle)
        else:
            environment = {**offline_environment(environment), "TMPDIR": str(scratch)}
            environment[ROOT_VARIABLE] = str(self.kaggle)
        return _run(command, environment, self.working, folder, tell)

    def _gateway(self, folder: Path) -> list[str]:
        hidden = folder / "test.csv"  # the gateway's own file, which the notebook does not see
        write_table(table_of(load_problems(self.csv)), hidden)
        package = [str(self.package)] if self.package else []
        return [
            str(self.image),
            "-m",
            "submission.rehearse.scored_gateway",
            str(hidden),
            self.competition.edition.name,
            *package,
        ]

    def _parametrised(self, folder: Path, *, load_seconds: float = 0.0) -> Path:
        """Return the notebook with a cell that overrides its configuration, as papermill does."""
        notebook: NotebookNode = nbformat.read(self.notebook, as_version=4)
        values = {
            "STAND_IN": {
                **_STAND_IN,
                "engine.model": str(self.stand_in),
                "budget.time_limit_seconds": self.seconds + load_seconds,
                "budget.floor_seconds": self.seconds / _SHARES,
            },
            "LOAD_SECONDS": load_seconds,
            "MARGIN_SECONDS": self.seconds / 10,
        }
        source = "\n".join(
            ["# The rehearsal's own settings.", *(f"{key} = {value!r}" for key, value in values.items())]
        )
        at = next(i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
        cell = nbformat.v4.new_code_cell(source, id="rehearsal", metadata={"tags": ["injected-parameters"]})
        notebook.cells.insert(at + 1, cell)
        path = folder / "rehearsed.ipynb"
        path.write_text(json.dumps(notebook), encoding="utf-8")
        return path


def make_image(folder: Path) -> Path:
    """Create a fresh environment with the packages of Kaggle's image; return its interpreter.

    Raises InputError, quoting pip, if that fails.
    """
    python = create_environment(folder)
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-compile"]
    command += ["--disable-pip-version-check", "-c", str(_ROOT / "tools" / "constraints.txt"), *_IMAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError(f"the image cannot be created: {done.stderr.strip().splitlines()[-1]}")
    return python


def check_given(problems: Path | None, package: Path | None, competition: Competition) -> Sequence[Problem]:
    """Return the problems of a file, or the starter problems. Raises InputError for an invalid file or package."""
    source = problems or STARTER
    loaded = load_problems(source)
    if any(problem.answer is None for problem in loaded):
        raise InputError(f"{source} has no answers: give a file in the format of reference.csv")
    if package is not None:
        _package_folder(package, competition)
    return loaded


def lay_out(
    stage: Stage,
    *,
    problems: Path | None,
    wheels: Path,
    package: Path | None,
    machine: str,
    attached: str,
    place: PurePosixPath | None = None,
) -> None:
    """Create the /kaggle tree as Kaggle mounts it, and the GPUs of its machine, by its shape.

    `attached` is a model's name or directory, and `place` where it lies below the input folder (by default where
    models do). Raises InputError for an invalid file, package, machine or model.
    """
    loaded = check_given(problems, package, stage.competition)
    shutil.rmtree(stage.kaggle, ignore_errors=True)
    data = stage.csv.parent
    data.mkdir(parents=True)
    write_problems(loaded, stage.csv)
    write_table(table_of(loaded[:3]), data / "test.csv")
    if package is not None:
        shutil.copytree(_package_folder(package, stage.competition), data / stage.competition.package)
    datasets = stage.kaggle / "input" / "datasets" / "owner" / "aimo-agent-wheels"
    shutil.copytree(wheels, datasets, copy_function=_link_or_copy)
    usual = PurePosixPath("models", "owner", Path(attached).name.lower(), "transformers", "default", "1")
    attach_model(attached, stage.kaggle / "input" / (place or usual))
    put_driver(stage.driver, machine)


def copy_stand_in(model: Path, out: Path) -> Path:
    """Put the small model's file where the isolated notebook sees it, outside of what Kaggle mounts."""
    copy = out / "stand-in" / model.name
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.unlink(missing_ok=True)
    return Path(_link_or_copy(str(model), str(copy)))


def _package_folder(given: Path, competition: Competition) -> Path:
    """Return the package, given it or the folder that contains it."""
    name = competition.package
    for folder in (given, given / name):
        if folder.name == name and (folder / "__init__.py").is_file():
            return folder
    raise InputError(f"{given} holds no {name}: give the folder of the competition's data, or that of the package")


def _link_or_copy(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
    return target


def _plain_environment() -> dict[str, str]:
    """Return our environment without credentials, and without variables that make our packages importable."""
    left_out = ("PYTHON", "VIRTUAL_ENV", "KAGGLE", "HF_", "AIMO_")
    return {key: value for key, value in os.environ.items() if not key.startswith(left_out)}


def _run(
    command: list[str], environment: dict[str, str], cwd: Path, folder: Path, tell: Callable[[str], None]
) -> str | None:
    with (folder / "execution.log").open("w+", encoding="utf-8") as log:
        with subprocess.Popen(
            command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                tell(line.strip()[:100])
        if process.returncode == 0:
            return None
        log.seek(0)
        lines = [line.strip() for line in log if line.strip()]
    return f"{lines[-1] if lines else 'no reason given'} (see {log.name})"
