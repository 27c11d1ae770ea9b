"""What a call of the command specifies: which problems, under which configuration, recorded where."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.cli.arguments import overrides
from agent.config import Config, load_config, override_config
from agent.cost.money import money_text
from agent.errors import InputError
from agent.files.suggestions import did_you_mean
from agent.journal.journal import CONFIG_FILE, RunRecord, read_run
from agent.journal.run_directory import RUNS, RunDirectory, check_model, new_directory, old_directory
from agent.problems.reader import BUNDLED, check_text, load_problems, starter_problems
from agent.problems.rows import SUFFIXES
from agent.types import Problem

DEFAULT_PROFILE = "cpu"
STANDARD_INPUT = "-"


@dataclass(frozen=True, slots=True)
class RunSpec:
    """A run that is ready to start in its directory.

    `before` is the record of a run that is resumed; a new run's directory is to be created, with additional `files`.
    """

    config: Config
    problems: Sequence[Problem]
    directory: Path
    before: RunRecord | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def run_directory(self) -> RunDirectory:
        """The directory in which the run is recorded."""
        return RunDirectory(self.directory, self.problems, self.before, self.files)

    @property
    def announcement(self) -> str:
        """What the run is going to do, in one line: how many problems share how much time, and who solves them."""
        config, count = self.config, len(self.problems)
        left = config.time_limit_seconds
        many = f"{count} problem{'s' if count > 1 else ''}"
        if self.before:
            count -= len(self.before.solved)
            left = max(0.0, left - self.before.spent)
            many = f"{count} of {many} left"
        limit = f"{spoken_seconds(left)} in all"
        if count > 1:
            limit += f" ({spoken_seconds(left / count)} a problem on average; --time-limit sets it)"
        if config.budget.max_cost:
            limit += f", for at most {money_text(config.budget.max_cost, config.price.currency)}"
        model = config.engine.model or f"of {config.engine.url}"
        samples = f"up to {config.sample.count} samples{' each' if len(self.problems) > 1 else ''}"
        return f"{many}, {limit}, {samples}; profile {config.profile}, edition {config.edition}, model {model}"

    @property
    def doubt(self) -> str:
        """What speaks against a new run: known answers that its edition does not allow; "" if there are none."""
        most = self.config.rules.max_answer
        known = [problem for problem in self.problems if problem.answer is not None]
        beyond = [problem for problem in known if not 0 <= (problem.answer or 0) <= most]
        if self.before or not beyond:
            return ""
        return (
            f"{len(beyond)} of {len(known)} known answers, like {beyond[0].answer} of {beyond[0].id}, cannot be right "
            f"under edition {self.config.edition}, whose answers go from 0 to {most}: "
            "see that --edition is the problems' own"
        )

    @property
    def resume_command(self) -> str | None:
        """The command that resumes this run; None as long as nothing is recorded."""
        if not (self.directory / CONFIG_FILE).exists():
            return None
        return resume_command("agent.solve", self.directory)


def spoken_seconds(seconds: float) -> str:
    """Write a duration as a person says it, to two digits or more.

    >>> spoken_seconds(9.0), spoken_seconds(540.0), spoken_seconds(5_400.0)
    ('9 s', '9 min', '90 min')
    """
    for unit, length in (("h", 3_600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"


def resume_command(module: str, directory: Path) -> str:
    """Return the shell command with which a module resumes the run in a directory."""
    place = f"./{directory}" if str(directory).startswith("-") else str(directory)
    return f"{Path(sys.executable).name} -m {module} --run-dir {shlex.quote(place)} --resume"


def make_run_spec(args: argparse.Namespace) -> RunSpec:
    """Specify the run of a call by its flags; a new run without --run-dir has the parent of its directory.

    Writes nothing. Raises InputError or ConfigError.
    """
    if args.resume:
        before = read_run(args.run_dir)
        return RunSpec(resumed_config(before, args), before.problems, args.run_dir, before)
    problems = _problems(args)
    config = load_config(DEFAULT_PROFILE if args.profile is None else args.profile, overrides(args))
    return RunSpec(config, problems, args.run_dir or RUNS)


@contextmanager
def open_run_spec(args: argparse.Namespace) -> Iterator[RunSpec]:
    """Specify the run of a call, and lock its directory while the context lasts.

    Raises InputError, ConfigError or JournalError.
    """
    if args.resume:
        with old_directory(args.run_dir):
            yield make_run_spec(args)
        return
    spec = make_run_spec(args)
    with new_directory(args.run_dir) as directory:
        yield replace(spec, directory=directory)


def resumed_config(before: RunRecord, args: argparse.Namespace) -> Config:
    """Return the configuration of a resumed run with the flags' overrides. Raises InputError for another model."""
    config = override_config(before.config, overrides(args))
    check_model(before, config, args.run_dir)
    return config


def _problems(args: argparse.Namespace) -> list[Problem]:
    if args.problem == STANDARD_INPUT:
        return [Problem("problem", _text(_standard_input()))]
    if args.problem is not None:
        return [Problem("problem", _text(_no_file(args.problem)))]
    return starter_problems() if args.problems is None else _named_problems(args.problems)


def _named_problems(source: Path) -> list[Problem]:
    """Load a bundled set by its name, or a file. Names of sets hide no files, which have a suffix."""
    name = str(source)
    if name == STANDARD_INPUT:
        raise InputError("--problems cannot be standard input: name a file, or give - as the problem for a single text")
    if name not in BUNDLED and not source.suffix:
        sets = ", ".join(BUNDLED)
        meant = did_you_mean(name, BUNDLED)
        raise InputError(
            f"{name!r} is not a problem set{meant}: give one of {sets}, or a CSV, JSONL, JSON or parquet file"
        )
    return load_problems(BUNDLED.get(name, source))


def _standard_input() -> str:
    if sys.stdin is None:
        raise InputError("standard input is closed: give the text of the problem, or pipe it in")
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = "it is not UTF-8 text" if isinstance(error, ValueError) else error.strerror
        raise InputError(f"the problem on standard input cannot be read ({reason}): pipe in its text") from error


def _text(text: str) -> str:
    """Return the text of a problem unchanged. Raises InputError if it is empty or contains NUL."""
    check_text(text)
    return text


def _no_file(text: str) -> str:
    """Return the text unchanged. Raises InputError if it is the name of a file or of a bundled set."""
    name = text.strip()
    try:
        is_file = Path(text).is_file()
    except (OSError, ValueError):  # longer than any name, or with a NUL
        is_file = False
    one_word = not any(char.isspace() for char in name)
    if name in BUNDLED or ((is_file or one_word) and name.lower().endswith(SUFFIXES)):
        raise InputError(
            f"{name!r} names a problem set and is not the text of a problem: give it as --problems {shlex.quote(name)}"
        )
    if is_file:
        raise InputError(
            f"{name!r} is a file and not the text of a problem: give the text, or - to read it from standard input; "
            f"a problem file ends in {', '.join(SUFFIXES)}"
        )
    return text
