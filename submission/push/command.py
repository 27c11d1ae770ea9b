"""Upload the submission to Kaggle: `python -m submission.push`, after build, wheelhouse and rehearsal.

The wheels become a dataset, the notebook is pushed and run, its output is fetched and, with --submit, submitted.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rich.console import Console

from agent.cli.numbers import number_from_zero, positive_number, whole_number
from agent.cli.one_line_parser import OneLineParser
from agent.errors import AgentError, InputError
from agent.summary.run_page import PAGE_FILE
from submission.competitions import COMPETITIONS
from submission.compile_cache import CACHE_FILE
from submission.metadata import (
    DATASET_FILE,
    KERNEL_FILE,
    DatasetMetadata,
    KernelMetadata,
    check_dataset,
    check_kernel,
    read_metadata,
)
from submission.push.kaggle_api import Kaggle
from submission.push.kaggle_calls import Calls, KaggleError
from submission.push.kaggle_dataset import DatasetUpload
from submission.push.kaggle_run import KernelRun, Output
from submission.push.kaggle_wait import KaggleState, KaggleWatch
from submission.serving.local_gateway import SUBMISSION_FILE
from submission.serving.session import RUN_FOLDER

_PROCESSING_SECONDS = 3_600.0  # for a dataset, and for a run beyond its own limit
_RUN_SECONDS = 5 * 3_600  # for a competition that is not known here
_CALL_SECONDS = 120.0
_OUTPUT_LOOKS = 3  # for the submission of a run that has just become complete
_NOTE = "wheels of this build"
_KEPT = (
    SUBMISSION_FILE,
    "submission.csv",
    "result.json",
    PAGE_FILE,
    CACHE_FILE,
)  # from the output, beside logs and the record of the run


class RunFailedError(KaggleError):
    """The run of the pushed version left nothing to submit."""


@dataclass(frozen=True, slots=True)
class Push:
    """A push: the folders, their validated metadata, and how the run is limited and submitted."""

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
        """The competition to submit to."""
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
            lines.append(self._submission("VERSION"))
        return [shlex.join(["kaggle", *line]) for line in lines]

    def submit_command(self, version: int) -> str:
        """The command line that submits the output of a version."""
        return shlex.join(["kaggle", *self._submission(str(version))])

    def _submission(self, version: str) -> list[str]:
        text = self.message or f"{self.kernel.id.split('/')[1]} version {version}"
        submit = ["competitions", "submit", self.competition, "-k", self.kernel.id, "-v", version]
        return [*submit, "-f", SUBMISSION_FILE, "-m", text]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    args = _parse(argv)
    console = Console(stderr=True)
    try:
        push = plan(args)
        if args.dry_run:
            print("\n".join(push.calls()))
            print("(create for a new dataset, version for one that is there)", file=sys.stderr)
            return 0
        carry_out(push, Calls(seconds=args.call_seconds, pause=args.poll_seconds), console)
        return 0
    except AgentError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; what was pushed still runs at Kaggle", file=sys.stderr)
        return 130


def plan(args: argparse.Namespace) -> Push:
    """Return the request of the flags. Raises InputError for metadata that Kaggle would misread."""
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


def carry_out(push: Push, calls: Calls, console: Console) -> None:
    """Do all of it. Raises KaggleError; what was done till then stays."""
    kaggle, watch = Kaggle(calls), KaggleWatch(calls, console)
    if push.dataset is not None and push.wheels is not None:
        _upload(push.dataset.id, push.wheels, push, kaggle, watch)
    version = kaggle.push_kernel(push.notebook, seconds=push.seconds, accelerator=push.kernel.machine_shape)
    _say(console, f"pushed {push.kernel.id}, version {version}")
    try:
        _await_output(push, kaggle.run_of(push.kernel.id, version), watch)
        if push.message is not None:
            _say(console, kaggle.submit(push.competition, push.kernel.id, version, SUBMISSION_FILE, push.message))
            return
    except RunFailedError:
        raise
    except (KaggleError, KeyboardInterrupt):
        _say(console, f"version {version} is submitted, once it is complete, by: {push.submit_command(version)}")
        raise
    _say(console, f"not submitted; this submits it: {push.submit_command(version)}")


def _await_output(push: Push, run: KernelRun, watch: KaggleWatch) -> None:
    """Wait for the run's end and fetch what it wrote. Raises RunFailedError where there is nothing to submit."""
    end = watch.until_over(run.look, "the run", push.seconds + _PROCESSING_SECONDS)
    try:
        output = _listed(end, run, watch)
    except KaggleError as error:
        if end.state == "complete":
            raise
        raise RunFailedError(f"the run ended as {end.state} ({end.why or 'no reason given'}); {error}") from error
    names = [name for name in output.urls if _is_kept(name)]
    failures = run.fetch(output, names, push.out)
    for failure in failures.values():
        _say(watch.console, f"not fetched: {failure}")
    _say(watch.console, f"the run is {end.state}; {len(names) - len(failures)} files and the log in {push.out}")
    if end.state != "complete":
        raise RunFailedError(
            f"the run ended as {end.state} ({end.why or 'no reason given'}): read the log in {push.out}"
        )
    if SUBMISSION_FILE not in output.urls:
        raise RunFailedError(f"the run wrote no {SUBMISSION_FILE}: read the log in {push.out}")
    if SUBMISSION_FILE in failures and push.message is None:
        raise failures[SUBMISSION_FILE]


def _listed(end: KaggleState, run: KernelRun, watch: KaggleWatch) -> Output:
    """The output; where a complete run seems to have written no submission, it is looked for a few times."""
    for _ in range(_OUTPUT_LOOKS - 1):
        output = run.output()
        if end.state != "complete" or SUBMISSION_FILE in output.urls:
            return output
        time.sleep(watch.calls.pause)
    return run.output()


def _is_kept(name: str) -> bool:
    """Whether a file of the output is fetched: not the source of the agent, which the notebook writes there too."""
    path = PurePosixPath(name)
    return name in _KEPT or path.parts[:1] == (RUN_FOLDER,) or (len(path.parts) == 1 and path.suffix == ".log")


def _upload(dataset: str, folder: Path, push: Push, kaggle: Kaggle, watch: KaggleWatch) -> None:
    size = sum(file.stat().st_size for file in folder.iterdir()) / 1e6
    work = DatasetUpload(kaggle, watch, dataset, folder, _NOTE, push.public, _PROCESSING_SECONDS)
    _say(watch.console, f"uploading {size:.0f} MB to {dataset}")
    work.upload()
    work.wait()
    _say(watch.console, f"{dataset} is ready")


def _say(console: Console, text: str) -> None:
    """Print a line as it is: paths and descriptions may look like markup."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = OneLineParser(prog="python -m submission.push", description=__doc__)
    parser.add_argument("--notebook", type=Path, default=Path("build/notebook"), metavar="DIR", help="built notebook")
    parser.add_argument("--wheels", type=Path, metavar="DIR", help="wheelhouse to upload (default: leave the dataset)")
    parser.add_argument("--out", type=Path, default=Path("build/output"), metavar="DIR", help="for the run's output")
    parser.add_argument("--seconds", type=whole_number, help="time limit of the run (default: the competition's)")
    parser.add_argument("--submit", metavar="TEXT", help="submit the output, with this description")
    parser.add_argument("--public", action="store_true", help="a new dataset is public")
    parser.add_argument("--poll-seconds", type=number_from_zero, default=30.0, help="between two looks at the run")
    parser.add_argument(
        "--call-seconds", type=positive_number, default=_CALL_SECONDS, help="what a call to Kaggle may take"
    )
    parser.add_argument("--dry-run", action="store_true", help="print every call and make none")
    return parser.parse_args(argv)
