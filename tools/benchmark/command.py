"""Run or grade the benchmarks of QwQ's release, by the usual rules of each.

python -m tools.benchmark aime2024 --profile qwq --url http://127.0.0.1:8000 --samples 16
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from agent.cli.arguments import add_check_flag, add_cost_flags, given_path
from agent.cli.numbers import whole_number
from agent.cli.one_line_parser import OneLineParser
from agent.errors import InputError
from tools.benchmark.completions import read_completions
from tools.benchmark.grading.grade import VerdictFile, grade_completions
from tools.benchmark.inspect_log import check_inspect, write_inspect_log
from tools.benchmark.question import BenchmarkResult
from tools.benchmark.run import VERDICTS_FILE, BenchmarkRun, check_complete, data_files, draw, resume_run, start_run
from tools.benchmark.sets.known import SETS, BenchmarkSet, load_set
from tools.benchmark.view import scores_as_json, scores_table
from tools.shared.command_line import run_command

_FIXED_BY_RUN = ("profile", "samples", "limit", "seed", "price", "set")
_OF_SAMPLING = ("profile", "samples", "url", "price", "max_cost", "set", "run_dir", "problems_in_flight")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""

    def benchmark(console: Console) -> None:
        args = _parser().parse_args(argv)
        _check(args)
        if args.grade:
            _grade(args, SETS[args.name], console)
        else:
            _run(args, SETS[args.name], console)

    return run_command(benchmark)


def _grade(args: argparse.Namespace, chosen: BenchmarkSet, console: Console) -> None:
    """Grade completions from elsewhere."""
    loaded = load_set(chosen, data_files(args, chosen, console), args.seed or 0, args.limit, console)
    questions = {question.id: question for question in loaded}
    completions = read_completions(args.grade, questions)
    verdicts = grade_completions(chosen, questions, completions, None, console)
    _tell(args, BenchmarkResult(chosen.name, args.model or "", questions, completions, verdicts), args.grade, console)


def _run(args: argparse.Namespace, chosen: BenchmarkSet, console: Console) -> None:
    """Draw the missing completions, and grade all."""
    with (resume_run if args.resume else start_run)(args, chosen, console) as run:
        try:
            _draw_and_grade(args, run, console)
        except KeyboardInterrupt:
            command = run.spec.resume_command and run.resume_command
            console.print(
                f"interrupted; resume with: {command}" if command else "interrupted", soft_wrap=True, markup=False
            )
            raise


def _draw_and_grade(args: argparse.Namespace, run: BenchmarkRun, console: Console) -> None:
    completions = draw(run, console)
    if completions:
        questions = {question.id: question for question in run.questions}
        store = VerdictFile(run.directory / VERDICTS_FILE)
        verdicts = grade_completions(run.chosen, questions, completions, store, console)
        outcome = BenchmarkResult(run.chosen.name, run.spec.config.engine.model, questions, completions, verdicts)
        _tell(args, outcome, run.directory / "inspect", console)
    console.print(f"recorded in {run.directory}", soft_wrap=True, markup=False)
    check_complete(run, completions)


def _tell(args: argparse.Namespace, outcome: BenchmarkResult, log: Path, console: Console) -> None:
    if args.json:
        print(json.dumps(scores_as_json(outcome), indent=2))
    else:
        Console(width=None if sys.stdout.isatty() else 160).print(scores_table(outcome))
    if args.export:
        path = log.with_suffix(".eval")
        write_inspect_log(outcome, path)
        console.print(f"Inspect's log in {path}", soft_wrap=True, markup=False)


def _check(args: argparse.Namespace) -> None:
    """Raise InputError for flags that contradict each other, before anything is computed."""
    if args.export:
        check_inspect()
    if args.grade:
        _leave_out(args, _OF_SAMPLING, "--grade draws no samples")
        if args.resume:
            raise InputError("--grade draws no samples: leave out resume")
    elif args.resume:
        if args.run_dir is None:
            raise InputError("--resume needs the directory of a run: add --run-dir DIR")
        _leave_out(args, _FIXED_BY_RUN, "--resume takes what the run was started with")


def _leave_out(args: argparse.Namespace, names: Sequence[str], reason: str) -> None:
    given = [name.replace("_", "-") for name in names if getattr(args, name) is not None]
    if given:
        raise InputError(f"{reason}: leave out {', '.join(given)}")


def _parser() -> argparse.ArgumentParser:
    parser = OneLineParser(
        prog="python -m tools.benchmark",
        description="Run a benchmark of QwQ's release, or grade completions, beside the published figures.",
    )
    parser.add_argument("name", choices=sorted(SETS), metavar="NAME", help=", ".join(SETS))
    what = parser.add_argument_group("what is asked")
    what.add_argument(
        "--data",
        type=Path,
        action="append",
        metavar="FILE",
        help="the set's file as it is published (CSV, JSONL, JSON, parquet); default: from the Hugging Face Hub",
    )
    what.add_argument("--limit", type=whole_number, metavar="N", help="only the first N questions")
    what.add_argument("--samples", type=whole_number, metavar="K", help="samples per question (default: 1)")
    what.add_argument("--seed", type=int, help="seed of the run and of the order of choices")
    what.add_argument("--grade", type=Path, metavar="FILE", help="grade these completions (JSON lines: id, completion)")
    how = parser.add_argument_group("who answers")
    how.add_argument("--profile", help="cpu (the default), vllm, qwq or another of agent/profiles, or a TOML file")
    how.add_argument("--url", help="a server that speaks the OpenAI protocol, for completions or for chat")
    how.add_argument("--api-key-env", metavar="NAME", help="as for agent.solve")
    how.add_argument("--model", help="as for agent.solve; with --grade the model that made the completions")
    how.add_argument("--set", action="append", metavar="KEY=VALUE", help="any key of the configuration")
    how.add_argument("--problems-in-flight", type=whole_number, metavar="N", help="default: enough to fill the lanes")
    add_cost_flags(how)
    add_check_flag(how)
    record = parser.add_argument_group("what comes out")
    record.add_argument(
        "--run-dir", type=given_path, metavar="DIR", help="directory of the run (default: runs/NAME-<date>)"
    )
    record.add_argument("--resume", action="store_true", help="resume the run in --run-dir")
    record.add_argument("--json", action="store_true", help="all figures and verdicts as JSON on standard output")
    record.add_argument("--export", choices=["inspect"], help="also write a log for Inspect AI (extra `inspect`)")
    parser.set_defaults(edition=None, time_limit=None)  # for the keys that agent.solve has flags for
    return parser
