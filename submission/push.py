"""Brings the submission to Kaggle: `python -m submission.push`, after build, wheelhouse and rehearsal.

The wheels become a dataset, the notebook is pushed and run, its output is fetched and, with --submit, submitted.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from agent.errors import AgentError, InputError
from submission.kaggle_api import CALL_SECONDS, Kaggle, KaggleError
from submission.local_gateway import SUBMISSION_FILE
from submission.metadata import (
    DATASET_FILE,
    KERNEL_FILE,
    DatasetMetadata,
    KernelMetadata,
    check_dataset,
    check_kernel,
    read_metadata,
)
from submission.rules import COMPETITIONS

_RUNNING = ("queued", "running", "new_script")
_PROCESSING_SECONDS = 3_600.0  # of a dataset, and of a run beyond its own limit
_RUN_SECONDS = 5 * 3_600  # of a competition that is not known here
_NOTE = "wheels of this build"


@dataclass(frozen=True, slots=True)
class Push:
    """What is pushed: the folders, their checked metadata, and how the run is limited and submitted."""

    notebook: Path
    wheels: Path | None
    kernel: KernelMetadata
    dataset: DatasetMetadata | None
    seconds: int
    out: Path
    message: str | None
    public: bool = False

    @property
    def competition(self) -> str:
        """Where it is submitted."""
        return self.kernel.competition_sources[0]

    def calls(self) -> list[str]:
        """The command lines of the `kaggle` package that do the same, in their order."""
        lines = []
        if self.dataset is not None:
            public = ["--public"] if self.public else []
            lines += [
                ["datasets", "status", self.dataset.id],
                ["datasets", "create", "-p", str(self.wheels), *public],
                ["datasets", "version", "-p", str(self.wheels), "-m", _NOTE],
                ["datasets", "files", self.dataset.id],
            ]
        accelerator = ["--accelerator", self.kernel.machine_shape] if self.kernel.machine_shape else []
        lines += [
            ["kernels", "push", "-p", str(self.notebook), "-t", str(self.seconds), *accelerator],
            ["kernels", "status", self.kernel.id],
            ["kernels", "output", self.kernel.id, "-p", str(self.out), "--force"],
        ]
        if self.message is not None:
            submit = ["competitions", "submit", self.competition, "-k", self.kernel.id, "-v", "VERSION"]
            lines.append([*submit, "-f", SUBMISSION_FILE, "-m", self.message])
        return [shlex.join(["kaggle", *line]) for line in lines]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    args = _parse(argv)
    console = Console(stderr=True)
    try:
        push = plan(args)
        if args.dry_run:
            print("\n".join(push.calls()))
            print("(create for a new dataset, version for one that is there)", file=sys.stderr)
            return 0
        carry_out(push, Kaggle(seconds=args.call_seconds), console, pause=args.poll_seconds)
        return 0
    except AgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; what was pushed goes on at Kaggle", file=sys.stderr)
        return 130


def plan(args: argparse.Namespace) -> Push:
    """What the flags ask for. Raises InputError for metadata that Kaggle would misread."""
    kernel = check_kernel(read_metadata(args.notebook / KERNEL_FILE), args.notebook)
    if len(kernel.competition_sources) != 1:
        raise InputError(f"{args.notebook / KERNEL_FILE}: competition_sources: name the one competition")
    dataset = None
    if args.wheels is not None:
        dataset = check_dataset(read_metadata(args.wheels / DATASET_FILE), args.wheels)
        if dataset.id not in kernel.dataset_sources:
            raise InputError(f"{args.notebook / KERNEL_FILE}: dataset_sources: add {dataset.id}, the wheels")
    limits = {known.slug: known.edition.time_limit_seconds for known in COMPETITIONS.values()}
    seconds = args.seconds or int(limits.get(kernel.competition_sources[0], _RUN_SECONDS))
    return Push(args.notebook, args.wheels, kernel, dataset, seconds, args.out, args.submit, public=args.public)


def carry_out(push: Push, kaggle: Kaggle, console: Console, *, pause: float) -> None:
    """Do all of it, waiting `pause` seconds between looks. Raises KaggleError; what was done till then stays."""
    if push.dataset is not None and push.wheels is not None:
        _upload(push.dataset.id, push.wheels, push, kaggle, console, pause)
    version = kaggle.push_kernel(push.notebook, seconds=push.seconds, accelerator=push.kernel.machine_shape)
    console.print(f"pushed {push.kernel.id}, version {version}")
    limit = push.seconds + _PROCESSING_SECONDS
    state, why = _wait(lambda: kaggle.kernel_status(push.kernel.id), "the run", console, pause, limit)
    files = kaggle.fetch_output(push.kernel.id, push.out)
    console.print(f"the run is {state}; {len(files)} files in {push.out}", soft_wrap=True)
    if state != "complete":
        raise KaggleError(f"the run ended as {state} ({why or 'no reason given'}): read the log in {push.out}")
    if not any(file.name == SUBMISSION_FILE for file in files):
        raise KaggleError(f"the run wrote no {SUBMISSION_FILE}: read the log in {push.out}")
    if push.message is None:
        console.print(f"not submitted: add --submit TEXT, or run: {push.calls()[-1]}", soft_wrap=True)
        return
    console.print(kaggle.submit(push.competition, push.kernel.id, version, SUBMISSION_FILE, push.message))


def _upload(dataset: str, folder: Path, push: Push, kaggle: Kaggle, console: Console, pause: float) -> None:
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    with console.status(f"uploading {size:.0f} MB to {dataset}"):
        if kaggle.dataset_status(dataset) is None:
            kaggle.create_dataset(folder, public=push.public)
        else:
            kaggle.version_dataset(folder, _NOTE)

    def look() -> tuple[str, str]:
        state = kaggle.dataset_status(dataset) or "not there yet"
        return state if state in ("ready", "failed", "deleted") else "running", ""

    state, _ = _wait(look, "the dataset", console, pause, _PROCESSING_SECONDS)
    missing = {file.name for file in folder.iterdir() if file.name != DATASET_FILE} - kaggle.dataset_files(dataset)
    if state != "ready" or missing:
        lost = f"it lacks {', '.join(sorted(missing)[:3])}" if missing else f"it is {state}"
        raise KaggleError(f"the dataset {dataset} is not complete ({lost}): run this again")
    console.print(f"{dataset} is ready")


def _wait(
    look: Callable[[], tuple[str, str]], what: str, console: Console, pause: float, limit: float
) -> tuple[str, str]:
    began = time.monotonic()
    with console.status(what) as status:
        while True:
            state, why = look()
            if state not in _RUNNING:
                return state, why
            gone = time.monotonic() - began
            if gone > limit:
                raise KaggleError(f"{what} is still {state} after {gone / 60:.0f} min: look at it on kaggle.com")
            status.update(f"{what} is {state}, {gone / 60:.0f} min")
            time.sleep(pause)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m submission.push", description=__doc__)
    parser.add_argument("--notebook", type=Path, default=Path("build/notebook"), metavar="DIR", help="built notebook")
    parser.add_argument("--wheels", type=Path, metavar="DIR", help="wheelhouse to upload (default: leave the dataset)")
    parser.add_argument("--out", type=Path, default=Path("build/output"), metavar="DIR", help="for the run's output")
    parser.add_argument("--seconds", type=int, help="time limit of the run (default: the competition's)")
    parser.add_argument("--submit", metavar="TEXT", help="submit the output, with this description")
    parser.add_argument("--public", action="store_true", help="a new dataset is public")
    parser.add_argument("--poll-seconds", type=float, default=30.0, help="between two looks at the run")
    parser.add_argument("--call-seconds", type=float, default=CALL_SECONDS, help="what a call to Kaggle may take")
    parser.add_argument("--dry-run", action="store_true", help="print every call and make none")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
