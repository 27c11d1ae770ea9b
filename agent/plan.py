"""What one call of the command is to do: which problems, under which configuration, recorded where."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from agent.cli import overrides
from agent.config import Config, load_config, override_config
from agent.errors import InputError
from agent.journal import RunRecord, create_run, read_run
from agent.problems import BUNDLED, load_problems, starter_problems
from agent.types import Problem

DEFAULT_PROFILE = "cpu"


@dataclass(frozen=True, slots=True)
class Plan:
    """A run that is ready to start; `before` is what the journal holds of it if it is resumed."""

    config: Config
    problems: Sequence[Problem]
    directory: Path
    before: RunRecord | None = None

    @property
    def resume_command(self) -> str:
        """The command that goes on with this run."""
        return f"{Path(sys.executable).name} -m agent.solve --run-dir {self.directory} --resume"


def make_plan(args: argparse.Namespace) -> Plan:
    """The plan of a call; lays out the directory of a new run. Raises InputError, ConfigError or JournalError."""
    if args.resume:
        before = read_run(args.run_dir)
        return Plan(override_config(before.config, overrides(args)), before.problems, args.run_dir, before)
    config = load_config(args.profile or DEFAULT_PROFILE, overrides(args))
    problems = _problems(args)
    directory = args.run_dir or Path("runs") / datetime.now().astimezone().strftime("%Y-%m-%dT%H-%M-%S")
    create_run(directory, config, problems)
    return Plan(config, problems, directory)


def _problems(args: argparse.Namespace) -> list[Problem]:
    if args.problem is not None:
        return [Problem("problem", args.problem)]
    return starter_problems() if args.problems is None else _named_problems(args.problems)


def _named_problems(source: Path) -> list[Problem]:
    """The problems of a bundled set, given by its name, or of a file. No file is hidden by a name: it has an ending."""
    name = str(source)
    if name not in BUNDLED and not source.suffix:
        sets = ", ".join(BUNDLED)
        raise InputError(f"{name!r} are no problems: give a bundled set ({sets}) or a CSV, JSONL, JSON or parquet file")
    return load_problems(BUNDLED.get(name, source))
