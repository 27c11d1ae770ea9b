"""Write a self-contained HTML report of a recorded run, or of two to compare.

python -m tools.report runs/2026-11-22T15-31-21
python -m tools.report runs/before runs/after --output compared.html
python -m tools.report build/output/run --brief
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import track

from agent.cli.one_line_parser import OneLineParser
from agent.errors import InputError
from agent.summary.run_page import PAGE_FILE
from tools.shared.command_line import run_command

if TYPE_CHECKING:
    from tools.report.data import ReportedRun
    from tools.report.html_page import ProblemView

_NAME = "report.html"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    args = _parser().parse_args(argv)

    def report(console: Console) -> None:
        if len(args.runs) > 2:
            raise InputError(f"{len(args.runs)} runs were given: give one, or two to compare")
        if args.brief and (args.export or args.failures):
            raise InputError("--brief writes one page alone: leave out --export and --failures, or --brief")
        if args.export:
            from tools.shared.exports import check_export  # slow imports, not needed for a page

            check_export(args.export)
        if args.brief:
            write_brief(args.runs, args.output, console)
            return
        path = args.output or (args.runs[0] / _NAME if len(args.runs) == 1 else Path(_NAME))
        runs = load_runs(args.runs, console)
        size = write_report(runs, path, console)
        if args.export:
            from tools.report.export import export_report

            files = ", ".join(file.name for file in export_report(args.export, runs))
            console.print(f"in {args.export}: {files}", soft_wrap=True, markup=False, highlight=False)
        if args.failures:
            from tools.report.failures import write_failures

            count = write_failures(args.failures, runs)
            console.print(f"{args.failures}/failures.jsonl and .html: {count:,} samples", soft_wrap=True, markup=False)
        _print_figures(runs)
        console.print(f"{path}: {size / 1e6:,.1f} MB", soft_wrap=True, markup=False, highlight=False)

    return run_command(report)


def write_brief(directories: Sequence[Path], output: Path | None, console: Console) -> None:
    """Write the page that a notebook writes of its run, too: start, problems, engine events and memory.

    Raises InputError if there are several runs, or none in the directory, or the page cannot be written.
    """
    from agent.journal.journal import check_run  # slow import, not needed for --help
    from agent.summary.run_page import PREDICTOR_FILE, write_run_page

    directory, *more = directories
    if more:
        raise InputError(f"{len(directories)} runs were given: with --brief, give one")
    if not (directory / PREDICTOR_FILE).is_file():  # which a notebook has whose worker never started
        check_run(directory)
    path = output or directory / PAGE_FILE
    try:
        write_run_page(directory, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): name another --output") from error
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise InputError(
            f"the record in {directory} is not what a run writes ({error!r}): leave out --brief"
        ) from error
    console.print(f"{path}: {path.stat().st_size / 1e3:,.1f} kB", soft_wrap=True, markup=False, highlight=False)


def load_runs(directories: Sequence[Path], console: Console) -> list[ReportedRun]:
    """Read one run, or two, named apart.

    Raises InputError if a directory contains none, or the two share no problem.
    """
    from tools.report.compare import Comparison  # slow import, not needed for --help
    from tools.report.data import load_run, named_apart

    with console.status("reading"):
        runs = named_apart([load_run(directory) for directory in directories])
        if len(runs) == 2:
            Comparison(*runs).check()
    return runs


def write_report(runs: Sequence[ReportedRun], path: Path, console: Console) -> int:
    """Write the page of one run or two; return its size in bytes.

    Raises InputError if the page cannot be written or the packages that draw it are missing.
    """
    try:  # not needed for --help
        from tools.report.html_page import page
    except ModuleNotFoundError as error:
        raise InputError(f"the report needs {error.name}: pip install 'aimo-agent[report]'") from error

    def progress(problems: Sequence[ProblemView]) -> Iterator[ProblemView]:
        quiet = not console.is_terminal
        yield from track(problems, console=console, description="transcripts", transient=True, disable=quiet)

    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        try:
            with unfinished.open("w", encoding="utf-8") as file:
                file.writelines(page(runs, progress))
            size = unfinished.stat().st_size
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): name another --output") from error
    return size


def _print_figures(runs: Sequence[ReportedRun]) -> None:
    from tools.report.figures import doubts, figures
    from tools.report.stats import known_problems, power_sentences

    out = Console(width=None if sys.stdout.isatty() else 160)
    if any(known_problems(run) for run in runs):
        out.print(figures(runs))
    for sentence in power_sentences(*runs) if len(runs) == 2 else ():
        out.print(sentence, soft_wrap=True, highlight=False)
    for run in runs:
        out.print(*doubts(run), sep="\n", end="\n" if doubts(run) else "")


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m tools.report", description="Write a recorded run, or two to compare, as one HTML file."
    )
    parser.add_argument(
        "runs", nargs="+", type=Path, metavar="RUN", help="directory of a run; give two to compare them"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help=f"the page to write (default: {_NAME} in the directory of the run; of two, here)",
    )
    parser.add_argument(
        "--brief",
        action="store_true",
        help=f"write the one page that a notebook writes of its run instead, as {PAGE_FILE}: how it started, each "
        "problem, the fallback's answers, engine events, memory",
    )
    parser.add_argument(
        "--export",
        type=Path,
        metavar="DIR",
        help="tables as .csv, .json, .md and .tex, charts as .svg and .png, into DIR",
    )
    parser.add_argument(
        "--failures",
        type=Path,
        metavar="DIR",
        help="wrong samples beside right ones of their problems, to be labelled, as failures.jsonl and .html into DIR",
    )
    return parser
