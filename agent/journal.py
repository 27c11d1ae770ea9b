"""The record of a run: one directory with the configuration, the problems, an append-only journal and the answers.

`journal.jsonl` holds one JSON object a line, told apart by `kind`: "problem" (a problem was started: its prompt and
its allowance), "sample" (one finished episode, whole), "solution" and "engine" (what befell the engine). Each line is
written by a single call, so a kill at any moment costs at most the line being written; a torn line means only that its
episode is owed again. A finished run may be kept with its journal compressed, as `journal.jsonl.gz`.
"""

from __future__ import annotations

import csv
import errno
import gzip
import io
import json
import os
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from agent.config import Config, load_config, save_config
from agent.errors import InputError, JournalError
from agent.problem_writer import write_problems
from agent.problems import load_problems
from agent.types import Problem, Sample, Solution, StopReason, ToolRun, is_kept

CONFIG_FILE = "config.toml"
PROBLEMS_FILE = "problems.csv"
JOURNAL_FILE = "journal.jsonl"
PACKED_JOURNAL_FILE = "journal.jsonl.gz"
ANSWERS_FILE = "answers.csv"


@dataclass(frozen=True, slots=True)
class Start:
    """A problem was started: what was asked, the seconds granted and the samples to be drawn."""

    problem_id: str
    prompt: str
    allowance: float
    lanes: int


@dataclass(frozen=True, slots=True)
class Notice:
    """What befell the engine, in a sentence, `at` seconds after the run began."""

    text: str
    at: float


_Entry = Sample | Solution | Start | Notice
_KINDS: dict[str, TypeAdapter[_Entry]] = {
    "problem": TypeAdapter(Start),
    "sample": TypeAdapter(Sample),
    "solution": TypeAdapter(Solution),
    "engine": TypeAdapter(Notice),
}


@dataclass(frozen=True, slots=True)
class RunRecord:
    """All that a run directory says."""

    config: Config
    problems: tuple[Problem, ...]
    samples: tuple[Sample, ...]
    solutions: tuple[Solution, ...]
    unreadable: int  # journal lines skipped; their episodes are owed again
    starts: tuple[Start, ...] = ()
    notices: tuple[Notice, ...] = ()

    @property
    def spent(self) -> float:
        """Seconds of the run that the journal accounts for."""
        ends = [sample.started + sample.seconds for sample in self.samples]
        return max([*ends, *(solution.at for solution in self.solutions)], default=0.0)

    @property
    def solved(self) -> dict[str, Solution]:
        """The last solution of each problem, but for those that lacked the engine or the time."""
        last = {solution.problem_id: solution for solution in self.solutions}
        return {id_: solution for id_, solution in last.items() if not is_owed(solution)}

    def samples_of(self, problem_id: str) -> list[Sample]:
        """The samples of a problem that need not be drawn again."""
        return [sample for sample in self.samples if sample.problem_id == problem_id and is_kept(sample)]


def is_owed(solution: Solution) -> bool:
    """Whether its problem has to be taken up once more: the engine cost it, or there was no time for it."""
    return solution.stop in (StopReason.ENGINE_ERROR, StopReason.OUT_OF_TIME)


def read_run(directory: Path) -> RunRecord:
    """Read a run directory. Raises InputError if it holds no run; journal lines that cannot be read are counted."""
    for name in (CONFIG_FILE, PROBLEMS_FILE):
        if not (directory / name).is_file():
            raise InputError(f"{directory} holds no run: there is no {name} in it; give the directory of a run")
    entries = [_entry(line) for line in _lines(directory)]
    return RunRecord(
        config=load_config(str(directory / CONFIG_FILE)),
        problems=tuple(load_problems(directory / PROBLEMS_FILE)),
        samples=tuple(entry for entry in entries if isinstance(entry, Sample)),
        solutions=tuple(entry for entry in entries if isinstance(entry, Solution)),
        unreadable=sum(entry is None for entry in entries),
        starts=tuple(entry for entry in entries if isinstance(entry, Start)),
        notices=tuple(entry for entry in entries if isinstance(entry, Notice)),
    )


def create_run(directory: Path, config: Config, problems: Sequence[Problem]) -> None:
    """Lay out the directory of a new run. Raises InputError if it holds one, JournalError if it cannot be written."""
    if (directory / CONFIG_FILE).exists():
        raise InputError(f"{directory} already holds a run: add --resume to go on with it, or name another --run-dir")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        write_problems(problems, directory / PROBLEMS_FILE)
        (directory / JOURNAL_FILE).touch()
        save_config(config, directory / CONFIG_FILE)
    except OSError as error:
        raise _unwritable(directory, error) from error


class Journal:
    """Observer that writes what happens into the run directory."""

    def __init__(self, directory: Path, answers: Sequence[Solution] = ()) -> None:
        self._directory = directory
        self._answers = {solution.problem_id: solution.answer for solution in answers}
        packed = directory / PACKED_JOURNAL_FILE
        if packed.exists():
            raise InputError(f"the journal of {directory} is compressed: gunzip {packed} first to go on with the run")
        try:
            _drop_torn_end(directory / JOURNAL_FILE)
            self._file = os.open(directory / JOURNAL_FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            raise _unwritable(directory, error) from error

    def problem_started(self, problem: Problem, prompt: str, allowance: float, lanes: int) -> None:
        """Record what was asked and granted."""
        self._append("problem", {"problem_id": problem.id, "prompt": prompt, "allowance": allowance, "lanes": lanes})

    def tokens_received(self, problem_id: str, index: int, tokens: int) -> None:
        """Not recorded one by one: a sample's turns have their counts."""

    def text_written(self, problem_id: str, index: int, text: str, *, inserted: bool) -> None:
        """Not recorded piece by piece: a sample's turns have their texts."""

    def tool_ran(self, problem_id: str, index: int, tool_run: ToolRun) -> None:
        """Not recorded by itself: a sample's turns hold its tool runs."""

    def sample_ended(self, sample: Sample) -> None:
        """Record the whole episode."""
        self._append("sample", asdict(sample))

    def problem_solved(self, solution: Solution) -> None:
        """Record the solution and rewrite the answers."""
        self._append("solution", asdict(solution))
        self._answers[solution.problem_id] = solution.answer
        self._write_answers()

    def engine_noticed(self, text: str, at: float) -> None:
        """Record the sentence."""
        self._append("engine", {"text": text, "at": at})

    def close(self) -> None:
        """Close the file. May be called twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _append(self, kind: str, record: dict[str, Any]) -> None:
        line = (json.dumps({"kind": kind, **record}) + "\n").encode()
        try:
            written = os.write(self._file, line)
            if written < len(line):  # the disk is full: take the torn line back
                os.ftruncate(self._file, os.fstat(self._file).st_size - written)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise _unwritable(self._directory, error) from error

    def _write_answers(self) -> None:
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(("id", "answer"))
        writer.writerows((id_, "" if answer is None else answer) for id_, answer in self._answers.items())
        path = self._directory / ANSWERS_FILE
        try:
            path.with_suffix(".tmp").write_text(table.getvalue(), encoding="utf-8")
            path.with_suffix(".tmp").replace(path)
        except OSError as error:
            raise _unwritable(self._directory, error) from error


def _lines(directory: Path) -> list[bytes]:
    plain, packed = directory / JOURNAL_FILE, directory / PACKED_JOURNAL_FILE
    path = packed if packed.exists() and not plain.exists() else plain
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if path == packed else data).splitlines()
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read ({reason}): give the directory of a run") from error


def _entry(line: bytes) -> _Entry | str | None:
    """What a journal line holds: a record, its kind if that is not known here, or None if it cannot be read."""
    try:
        record = json.loads(line)
        kind = record.pop("kind")
        return _KINDS[kind].validate_python(record) if kind in _KINDS else str(kind)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        return None


def _drop_torn_end(path: Path) -> None:
    """Cut off a last line that was not finished, so that the next one starts on its own."""
    with path.open("r+b") as file:
        data = file.read()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            file.truncate(whole)


def _unwritable(directory: Path, error: OSError) -> JournalError:
    reason = error.strerror or str(error)
    return JournalError(
        f"the run directory {directory} cannot be written ({reason}): free space or name another --run-dir; "
        "what is recorded there stays, and --resume goes on from it"
    )
