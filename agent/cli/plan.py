"""What one call of the command is to do: which problems, under which configuration, recorded where."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from agent.cli.arguments import overrides
from agent.config import Config, load_config, override_config
from agent.errors import InputError
from agent.journal.claim import claim, claim_fresh
from agent.journal.journal import CONFIG_FILE, RunRecord, check_free, check_run, read_run
from agent.problems.reader import BUNDLED, load_problems, starter_problems
from agent.problems.rows import SUFFIXES
from agent.types import Problem

DEFAULT_PROFILE = "cpu"
RUNS = Path("runs")
STANDARD_INPUT = "-"


@dataclass(frozen=True, slots=True)
class Plan:
    """A run that is ready to start in its directory.

    `before` is what the journal holds of it if it is resumed; else it is to be laid out, with further `files`.
    """

    config: Config
    problems: Sequence[Problem]
    directory: Path
    before: RunRecord | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def resume_command(self) -> str | None:
        """The command that continues this run; None as long as nothing of it is recorded."""
        if not (self.directory / CONFIG_FILE).exists():
            return None
        return resume_command("agent.solve", self.directory)


def resume_command(module: str, directory: Path) -> str:
    """The command, as a shell takes it, by which a module continues the run in a directory."""
    place = f"./{directory}" if str(directory).startswith("-") else str(directory)
    return f"{Path(sys.executable).name} -m {module} --run-dir {shlex.quote(place)} --resume"


def make_plan(args: argparse.Namespace) -> Plan:
    """The plan of a call, as its flags have it; a new run's directory is the one named, else where one will be made.

    Writes nothing. Raises InputError or ConfigError.
    """
    if args.resume:
        before = read_run(args.run_dir)
        return Plan(resumed_config(before, args), before.problems, args.run_dir, before)
    problems = _problems(args)
    config = load_config(DEFAULT_PROFILE if args.profile is None else args.profile, overrides(args))
    return Plan(config, problems, args.run_dir or RUNS)


@contextmanager
def open_plan(args: argparse.Namespace) -> Iterator[Plan]:
    """The plan of a call, whose directory is held as long as the context lasts.

    Raises InputError, ConfigError or JournalError.
    """
    if args.resume:
        with old_directory(args.run_dir):
            yield make_plan(args)
        return
    plan = make_plan(args)
    with new_directory(args.run_dir, "") as directory:
        yield replace(plan, directory=directory)


@contextmanager
def old_directory(directory: Path) -> Iterator[None]:
    """Hold the directory of a run that is resumed as long as the context lasts; read it within that.

    Raises InputError if it holds no run.
    """
    check_run(directory)  # before anything is written there
    with claim(directory):
        yield


@contextmanager
def new_directory(named: Path | None, label: str) -> Iterator[Path]:
    """The directory of a new run, held as long as the context lasts: the one that was named, else a fresh one.

    A fresh one is called by the label and the time. Raises InputError if the one that was named holds a run.
    """
    if named is None:
        with claim_fresh(RUNS, datetime.now().astimezone().strftime(f"{label}%Y-%m-%dT%H-%M-%S")) as directory:
            yield directory
        return
    check_free(named)
    with claim(named):
        check_free(named)  # again: another process may have been at it until now
        yield named


def resumed_config(before: RunRecord, args: argparse.Namespace) -> Config:
    """The configuration of a resumed run, with what the flags set anew; its model stays. Raises InputError if not."""
    model = before.config.engine.model
    config = override_config(before.config, overrides(args))
    if model and config.engine.model != model:
        raise InputError(
            f"the run in {args.run_dir} was started with the model {model}: leave out --model, or start a new run"
        )
    return config


def _problems(args: argparse.Namespace) -> list[Problem]:
    if args.problem == STANDARD_INPUT:
        return [Problem("problem", _text(_standard_input()))]
    if args.problem is not None:
        return [Problem("problem", _text(_no_file(args.problem)))]
    return starter_problems() if args.problems is None else _named_problems(args.problems)


def _named_problems(source: Path) -> list[Problem]:
    """The problems of a bundled set, given by its name, or of a file. No file is hidden by a name: it has an ending."""
    name = str(source)
    if name == STANDARD_INPUT:
        raise InputError("--problems reads no standard input: name a file, or give - as the problem for a single text")
    if name not in BUNDLED and not source.suffix:
        sets = ", ".join(BUNDLED)
        raise InputError(f"{name!r} are no problems: give a bundled set ({sets}) or a CSV, JSONL, JSON or parquet file")
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
    """The text of a problem as it stands. Raises InputError if it is none."""
    if not text.strip():
        raise InputError("the problem is empty: give its text")
    if "\0" in text:
        raise InputError("the problem has a NUL byte, which no text has: remove it")
    return text


def _no_file(text: str) -> str:
    """The text as it is. Raises InputError if it is the name of a file or of a bundled set."""
    name = text.strip()
    try:
        is_file = Path(text).is_file()
    except (OSError, ValueError):  # longer than any name, or with a NUL
        is_file = False
    one_word = not any(char.isspace() for char in name)
    if name in BUNDLED or ((is_file or one_word) and name.lower().endswith(SUFFIXES)):
        raise InputError(
            f"{name!r} names problems and is not the text of one: give it as --problems {shlex.quote(name)}"
        )
    if is_file:
        raise InputError(
            f"{name!r} is a file and not the text of a problem: give the text, or - to read it from standard input; "
            f"a file of problems ends in {', '.join(SUFFIXES)}"
        )
    return text
