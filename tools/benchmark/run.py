"""Draw the samples of a benchmark with the agent's own solver, recorded in a run directory."""

from __future__ import annotations

import argparse
import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from agent.chat.dialects import chat_format
from agent.chat.format import ChatFormat
from agent.chat.task import CompetitionTask
from agent.cli.arguments import overrides
from agent.cli.command import run_to_end
from agent.cli.run_spec import DEFAULT_PROFILE, RunSpec, resume_command, resumed_config
from agent.config import Config, load_config
from agent.errors import EngineError, InputError
from agent.journal.journal import RunRecord, read_run
from agent.journal.run_directory import new_directory, old_directory
from agent.types import Sample, SampleEnd
from tools.benchmark.progress import sampling_view
from tools.benchmark.question import BenchmarkQuestion, Completion
from tools.benchmark.sets.hub import fetch
from tools.benchmark.sets.known import BenchmarkSet, load_set
from tools.benchmark.sets.rows import digest

BENCHMARK_FILE = "benchmark.json"
VERDICTS_FILE = "verdicts.jsonl"
_NO_LIMIT_SECONDS = 1e9
_ENDED = (SampleEnd.ANSWERED, SampleEnd.NO_ANSWER, SampleEnd.INCOMPLETE)
_OWED = (SampleEnd.ENGINE_ERROR, SampleEnd.CANCELLED)

# Every sample runs to its end, as in published evaluations: no early stopping, no time limit and no
# forced answers.
_WHOLE_SAMPLES = {
    "stopping.rule": "wait-for-all",
    "budget.time_limit_seconds": _NO_LIMIT_SECONDS,
    "budget.ceiling_seconds": _NO_LIMIT_SECONDS,
    "budget.answer_reserve_seconds": 0.0,
    "budget.planner": "spread",
    "sample.max_seconds": _NO_LIMIT_SECONDS,
    "sample.answer_tokens": 0,
    "sample.accept_printed_answer": False,
    "sample.max_failed_tool_runs": 0,
    "sample.tools": False,
}


@dataclass(frozen=True, slots=True)
class BenchmarkRun:
    """A benchmark's run that is ready to be started or resumed."""

    chosen: BenchmarkSet
    questions: Sequence[BenchmarkQuestion]
    spec: RunSpec

    @property
    def directory(self) -> Path:
        """The directory in which it is recorded."""
        return self.spec.directory

    @property
    def resume_command(self) -> str:
        """The command that resumes it."""
        return resume_command(f"tools.benchmark {self.chosen.name}", self.directory)


def data_files(args: argparse.Namespace, chosen: BenchmarkSet, console: Console) -> list[Path]:
    """Return the files of a set: those given, else its published one. Raises InputError if that is not available."""
    if args.data:
        return list(args.data)
    if chosen.source is None:
        raise InputError(f"{chosen.name} is published only with its competition: give its CSV file with --data FILE")
    return [fetch(chosen.source, console)]


@contextmanager
def start_run(args: argparse.Namespace, chosen: BenchmarkSet, console: Console) -> Iterator[BenchmarkRun]:
    """Start a new run, whose directory is locked while the context lasts.

    Raises InputError, ConfigError or JournalError.
    """
    config = _config(args, chosen)
    files = data_files(args, chosen, console)
    questions = load_set(chosen, files, config.seed, args.limit, console)
    problems = [question.problem for question in questions]
    record = {"set": chosen.name, "data": [str(path.resolve()) for path in files], "limit": args.limit}
    text = json.dumps({**record, "sha256": digest(files)})
    with new_directory(args.run_dir, f"{chosen.name}-") as directory:
        yield BenchmarkRun(chosen, questions, RunSpec(config, problems, directory, files={BENCHMARK_FILE: text}))


@contextmanager
def resume_run(args: argparse.Namespace, chosen: BenchmarkSet, console: Console) -> Iterator[BenchmarkRun]:
    """Resume the run in `--run-dir` with the samples drawn so far; its directory is locked while the context lasts.

    Raises InputError if it is of another set or its data changed.
    """
    directory: Path = args.run_dir
    try:
        record = json.loads((directory / BENCHMARK_FILE).read_text(encoding="utf-8"))
        name, files, limit = record["set"], [Path(path) for path in record["data"]], record["limit"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{directory} contains no benchmark that can be resumed: give another --run-dir") from error
    if name != chosen.name:
        raise InputError(f"{directory} is a run of {name}, not of {chosen.name}: name that, or another --run-dir")
    files = list(args.data) if args.data else files
    if digest(files) != record.get("sha256"):
        raise InputError(f"{files[0]} is not what the run was started with: give that file with --data")
    with old_directory(directory):
        before = read_run(directory)
        config = resumed_config(before, args)
        questions = load_set(chosen, files, config.seed, limit, console)
        yield BenchmarkRun(chosen, questions, RunSpec(config, before.problems, directory, _with_all_samples(before)))


def draw(run: BenchmarkRun, console: Console) -> list[Completion]:
    """Draw the missing samples; return all completions. Raises AgentError for what the user has to fix.

    Where none is missing no engine is started.
    """
    before = run.spec.before
    closed = {solution.problem_id for solution in before.solutions} if before else set()
    if before and closed.issuperset(problem.id for problem in run.spec.problems):
        return drawn(before)
    total = run.spec.config.sample.count * len(run.questions)
    show = sampling_view(total, len(drawn(before)) if before else 0)
    run_to_end(run.spec, console, task=run.chosen.task, show=show)
    return drawn(read_run(run.directory))


def drawn(record: RunRecord) -> list[Completion]:
    """Return the completions recorded by a run, in the order of question and index."""
    samples = {(s.problem_id, s.index): s for s in record.samples if s.end not in _OWED}
    settings = record.config.sample
    chat = chat_format(settings.family, tools=settings.tools)
    return [_completion(samples[key], chat) for key in sorted(samples)]


def check_complete(run: BenchmarkRun, completions: Sequence[Completion]) -> None:
    """Raise EngineError if samples are missing because the engine failed."""
    missing = run.spec.config.sample.count * len(run.questions) - len(completions)
    if missing:
        raise EngineError(f"the engine failed at {missing} samples; fix it and resume with: {run.resume_command}")


def _config(args: argparse.Namespace, chosen: BenchmarkSet) -> Config:
    profile = args.profile or DEFAULT_PROFILE
    lanes = load_config(profile).sample.count
    samples = args.samples or 1
    keys = {**_WHOLE_SAMPLES, "sample.count": samples, "problems_in_flight": math.ceil(lanes / samples)}
    if isinstance(chosen.task, CompetitionTask) and chosen.source is None:
        keys["edition"] = chosen.task.edition.name
    config = load_config(profile, keys | overrides(args))
    if config.sample.tools and not isinstance(chosen.task, CompetitionTask):
        raise InputError(f"{chosen.name} is answered without tools: leave out sample.tools")
    return config


def _with_all_samples(before: RunRecord) -> RunRecord:
    """Return the record without the solutions of questions with missing samples, so that these are drawn."""
    counts = Counter(completion.question for completion in drawn(before))
    whole = tuple(s for s in before.solutions if counts[s.problem_id] >= before.config.sample.count)
    return replace(before, solutions=whole)


def _completion(sample: Sample, chat: ChatFormat) -> Completion:
    drawn_with = sample.tokens, sample.seconds
    if sample.forced:
        return Completion(sample.problem_id, sample.index, chat.shown(sample.text), "", *drawn_with)
    if sample.end not in _ENDED:
        return Completion(sample.problem_id, sample.index, None, str(sample.end), *drawn_with)
    return Completion(sample.problem_id, sample.index, chat.shown(sample.turns[-1].text), "", *drawn_with)
