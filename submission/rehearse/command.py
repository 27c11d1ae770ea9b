"""Rehearse the submission on this machine, from the build to `submission.parquet`: `python -m submission.rehearse`."""

from __future__ import annotations

import argparse
import fcntl
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.table import Table

from agent.cli.numbers import number_from_zero, positive_number
from agent.cli.one_line_parser import OneLineParser
from agent.config import load_config
from agent.errors import AgentError, InputError
from agent.models.store import fetch_model
from agent.summary.run_page import PAGE_FILE
from submission.build.command import NOTEBOOK_FILE, Attached, build_notebook, kernel_tree, write_notebook
from submission.built_notebook import BuiltNotebook, read_notebook
from submission.competitions import COMPETITIONS, Competition, competition_of
from submission.isolation import can_isolate
from submission.likeness import check_likeness
from submission.metadata import (
    KERNEL_FILE,
    MACHINE_SHAPES,
    check_kernel,
    make_output_folder,
    read_metadata,
    write_metadata,
)
from submission.protocol import AUTO_PROFILE
from submission.rehearse.attached import likeness_for, place_of
from submission.rehearse.page import write_page
from submission.rehearse.stage import Stage, check_given, copy_stand_in, lay_out, make_image
from submission.rehearse.verdict import judge_rehearsal
from submission.wheelhouse.command import Target, download, resolve, write_dataset

_OWNER, _EDITION = "owner", "aimo3"
_MARKS = {True: "[green]✓[/]", None: "[yellow]![/]", False: "[red]✗[/]"}
_MODES = {"interactive": False, "scored run": True}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status: 0 passed, 1 failed, 2 something has to be fixed first."""
    args = _parse(argv)
    console = Console(stderr=True)
    try:
        with only_one(args.out):
            stage = prepare(args, console)
            failures = [
                run_mode(stage, name, rerun=rerun, console=console)
                for name, rerun in _MODES.items()
                if args.mode in (None, name.split()[0])
            ]
        return 1 if any(failures) else 0
    except AgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


@contextmanager
def only_one(out: Path) -> Iterator[None]:
    """Lock the folder for this rehearsal. Raises InputError if another one holds it."""
    make_output_folder(out)
    with (out / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"another rehearsal runs in {out}: wait for it or name another --out") from None
        yield


def prepare(args: argparse.Namespace, console: Console) -> Stage:
    """Build the notebook, collect the wheels, create an image and its /kaggle tree. Raises AgentError."""
    out: Path = args.out.absolute()
    step = _stepper(console)
    notebook = args.notebook.absolute() if args.notebook else _build(out / "notebook", args, step)
    built = read_notebook(notebook)
    competition = _competition(args, built)
    machine = args.machine_shape or _machine(notebook.with_name(KERNEL_FILE)) or competition.machine_shape
    attached = args.attach or likeness_for(built, load_config(competition.profile).engine.model)
    check_likeness(attached)
    place = place_of(built, attached)
    package = args.evaluation_package.absolute() if args.evaluation_package else None
    check_given(args.problems, package, competition)
    step("gathering the wheels")
    wheels = out / "wheels"
    target = Target(f"{sys.version_info.major}.{sys.version_info.minor}", here=True)
    download(resolve(target, "embedded"), target, wheels, console)
    write_dataset(wheels, _OWNER)
    step("fetching the model")
    stand_in = copy_stand_in(fetch_model(args.model, console=console), out)
    step("making a fresh image")
    image = make_image(out / "image")
    step("laying out /kaggle")
    stage = Stage(competition, out, notebook, image, args.seconds, stand_in, args.load_seconds)
    lay_out(
        stage,
        problems=args.problems,
        wheels=wheels,
        package=package,
        machine=machine,
        attached=attached,
        place=place,
    )
    step(f"attached a likeness of {attached} at /kaggle/input/{place}, on the GPUs of {machine}")
    step(f"{_own_keys(built)}; what runs is {args.model} on the CPU, with fewer and shorter lanes")
    step("isolated" if can_isolate() else "NOT isolated: bubblewrap is not usable here, so the network cannot be cut")
    return stage


def _competition(args: argparse.Namespace, built: BuiltNotebook) -> Competition:
    """That of the notebook. Raises InputError where --edition names another one."""
    edition = built.setting("EDITION", str)
    if args.edition not in (None, edition):
        raise InputError(f"--edition {args.edition} is not that of the notebook, {edition}: leave it out")
    return competition_of(edition)


def _machine(metadata: Path) -> str | None:
    """The GPUs that the notebook's metadata ask for; None where there are none."""
    return check_kernel(read_metadata(metadata), metadata.parent).machine_shape if metadata.is_file() else None


def _own_keys(built: BuiltNotebook) -> str:
    """What the notebook sets: its profile and the keys on top."""
    keys = (f", {key} = {value}" for key, value in built.setting("SETTINGS", dict).items())
    return f"the notebook sets the profile {built.setting('PROFILE', str)}{''.join(keys)}"


def _build(folder: Path, args: argparse.Namespace, step: Callable[[str], None]) -> Path:
    profile, competition = args.profile, competition_of(args.edition or _EDITION)
    step(f"building the notebook for {competition.edition.name}")
    load_config(competition.profile if profile == AUTO_PROFILE else profile)
    folder.mkdir(parents=True, exist_ok=True)
    write_notebook(build_notebook(competition, {"PROFILE": profile}), folder / NOTEBOOK_FILE)
    tree = kernel_tree(competition, _OWNER, Attached(), public=False)
    write_metadata(check_kernel(tree, folder), folder / KERNEL_FILE)
    return folder / NOTEBOOK_FILE


def run_mode(stage: Stage, name: str, *, rerun: bool, console: Console) -> bool:
    """Execute the notebook in one mode, save it and its page, print the findings; return whether it failed."""
    began = time.monotonic()
    with console.status(f"{name}: starting") as status:
        error = stage.execute(rerun=rerun, tell=lambda line: status.update(f"{name}: cell {line}"))
    findings = judge_rehearsal(stage, rerun=rerun)
    if error is not None:
        findings.insert(0, (False, error))
    with suppress(FileNotFoundError):  # which is a finding; the next mode begins with an empty working directory
        shutil.copyfile(stage.working / PAGE_FILE, stage.folder(rerun=rerun) / PAGE_FILE)
    executed = stage.executed(rerun=rerun)
    if executed.exists():
        write_page(executed, executed.with_suffix(".html"))
        findings.append((True, f"kept {executed.relative_to(stage.out)} and its page"))
    table = Table(title=f"{name}: {time.monotonic() - began:.0f} s", title_justify="left", show_header=False, box=None)
    for good, finding in findings:
        table.add_row(_MARKS[good], finding)
    failed = any(good is False for good, _ in findings)
    table.add_row("", "[bold red]FAILED[/]" if failed else "[bold green]passed[/]")
    Console().print(table)
    return failed


def _stepper(console: Console) -> Callable[[str], None]:
    began = time.monotonic()
    return lambda text: console.print(f"[dim]{time.monotonic() - began:5.0f} s[/]  {text}", soft_wrap=True)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = OneLineParser(
        prog="python -m submission.rehearse",
        description="Execute the built notebook in a fresh environment without network, in both modes of Kaggle.",
    )
    parser.add_argument(
        "--edition", choices=sorted(COMPETITIONS), help="the competition (default: that of --notebook, else aimo3)"
    )
    parser.add_argument(
        "--notebook", type=Path, metavar="FILE", help="a notebook that submission.build built (default: built now)"
    )
    parser.add_argument("--profile", default=AUTO_PROFILE, help="the bundled profile of a notebook that is built now")
    parser.add_argument(
        "--attach",
        metavar="MODEL",
        help="the model to attach, without its weights: a name like gpt-oss-120b, or the directory of your own "
        "(default: the known model that the notebook names, else that of the competition's profile)",
    )
    parser.add_argument(
        "--machine-shape", choices=MACHINE_SHAPES, metavar="NAME", help="the GPUs (default: those of the notebook)"
    )
    parser.add_argument("--problems", type=Path, metavar="CSV", help="id, problem, answer (default: starter problems)")
    parser.add_argument("--evaluation-package", type=Path, metavar="DIR", help="holds the genuine kaggle_evaluation")
    parser.add_argument(
        "--model",
        default="qwen2.5-coder-0.5b",
        help="a small model that answers in its place: a known name or a GGUF file (default qwen2.5-coder-0.5b)",
    )
    parser.add_argument("--seconds", type=positive_number, default=160.0, help="time limit of each run")
    parser.add_argument(
        "--load-seconds",
        type=number_from_zero,
        default=15.0,
        help="how long it plays to load in the scored run, where the server has to listen before that (default 15)",
    )
    parser.add_argument("--mode", choices=("interactive", "scored"), help="run only one of the two modes")
    parser.add_argument("--out", type=Path, default=Path("build/rehearsal"), metavar="DIR", help="output directory")
    return parser.parse_args(argv)
