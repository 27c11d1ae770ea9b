"""The record of a run: one directory with the configuration, the problems, an append-only journal and the answers.

`agent.journal.lines` says what the journal holds. Each of its lines is written by a single call, so a kill at any
moment costs at most the line being written; a torn line means only that its sample is drawn again, and a whole one that
lacks its newline counts. A finished run may be kept with its journal compressed, as `journal.jsonl.gz`. The
configuration is written last, so that a directory which has one holds a whole run; every file but the journal is
replaced as a whole.

Whatever the journal holds, a sample counts once: of several with one problem and index, the first that voted, or else
the first.
"""

from __future__ import annotations

import csv
import errno
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agent.config import Config, override_config, parse_config, save_config
from agent.errors import ConfigError, InputError, JournalError
from agent.events import (
    EngineEvent,
    EngineStarted,
    Event,
    HealthChecked,
    ProblemSolved,
    ProblemStarted,
    RequestCharged,
    RunWarning,
    SampleEnded,
)
from agent.files.renamed_keys import renamed_keys
from agent.files.stored_config import stored_tree
from agent.files.whole_file import write_whole
from agent.journal.kept_family import FAMILY_FILE, own_family_file, with_kept_family
from agent.journal.lines import (
    KIND_OF,
    RecordedStart,
    SettingsChange,
    close_last_line,
    has_recorded,
    read_entries,
)
from agent.problems.reader import load_problems
from agent.problems.writer import write_problems
from agent.types import Problem, Sample, Solution, StopReason, is_kept

CONFIG_FILE = "config.toml"
PROBLEMS_FILE = "problems.csv"
JOURNAL_FILE = "journal.jsonl"
PACKED_JOURNAL_FILE = "journal.jsonl.gz"
ANSWERS_FILE = "answers.csv"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a run directory holds; `config` is the stored one with all changes since."""

    config: Config
    problems: tuple[Problem, ...]
    samples: tuple[Sample, ...]
    solutions: tuple[Solution, ...]
    unreadable: int  # journal lines skipped; what they held is drawn again
    starts: tuple[RecordedStart, ...] = ()
    engine_events: tuple[EngineEvent, ...] = ()
    changes: tuple[SettingsChange, ...] = ()
    warnings: tuple[RunWarning, ...] = ()
    checks: tuple[HealthChecked, ...] = ()
    charges: tuple[RequestCharged, ...] = ()
    engine_starts: tuple[EngineStarted, ...] = ()

    @property
    def found_sound(self) -> bool:
        """Whether the served model passed its check when the run, or a part of it, began."""
        return any(not check.fault for check in self.checks)

    @property
    def spent(self) -> float:
        """Seconds of the run that the journal accounts for."""
        ends = [sample.started + sample.seconds for sample in self.samples]
        return max([*ends, *(solution.at for solution in self.solutions)], default=0.0)

    @property
    def solved(self) -> dict[str, Solution]:
        """The last solution of each problem, but for those that need another attempt."""
        last = {solution.problem_id: solution for solution in self.solutions}
        return {id_: solution for id_, solution in last.items() if not needs_another_attempt(solution)}

    def samples_of(self, problem_id: str) -> list[Sample]:
        """The samples of a problem that need not be drawn again, one an index."""
        kept = (sample for sample in self.samples if sample.problem_id == problem_id and is_kept(sample))
        return list(_counted_once(kept))


def needs_another_attempt(solution: Solution) -> bool:
    """Whether its problem has to be attempted again: the engine failed, or time or money was missing."""
    return solution.stop in (StopReason.ENGINE_ERROR, StopReason.OUT_OF_TIME, StopReason.COST_LIMIT)


def read_run(directory: Path) -> RunRecord:
    """Read a run directory; journal lines that cannot be read are counted.

    Raises InputError if it holds no run, ConfigError if the configuration in it is not complete.
    """
    check_run(directory)
    stored = with_kept_family(stored_tree(directory / CONFIG_FILE), directory)
    config = parse_config(stored, str(directory / CONFIG_FILE))
    entries = read_entries(_journal_of(directory))
    changes = tuple(entry for entry in entries if isinstance(entry, SettingsChange))
    for change in changes:
        try:
            config = override_config(config, renamed_keys(change.changed))
        except ConfigError as error:
            raise ConfigError(f"the journal of {directory} sets what this version does not take: {error}") from error
    return RunRecord(
        config=config,
        problems=tuple(load_problems(directory / PROBLEMS_FILE)),
        samples=_counted_once(entry for entry in entries if isinstance(entry, Sample)),
        solutions=tuple(entry for entry in entries if isinstance(entry, Solution)),
        unreadable=sum(entry is None for entry in entries),
        starts=tuple(entry for entry in entries if isinstance(entry, RecordedStart)),
        engine_events=tuple(entry for entry in entries if isinstance(entry, EngineEvent)),
        changes=changes,
        warnings=tuple(entry for entry in entries if isinstance(entry, RunWarning)),
        checks=tuple(entry for entry in entries if isinstance(entry, HealthChecked)),
        charges=tuple(entry for entry in entries if isinstance(entry, RequestCharged)),
        engine_starts=tuple(entry for entry in entries if isinstance(entry, EngineStarted)),
    )


def check_run(directory: Path) -> None:
    """Raises InputError if the directory holds no run, or not the whole of one."""
    for name in (CONFIG_FILE, PROBLEMS_FILE):
        if not _holds(directory, name):
            if _has_journal(directory):
                raise _incomplete(directory, name)
            raise InputError(f"{directory} holds no run: there is no {name} in it; give the directory of a run")
    if not _has_journal(directory):
        raise _incomplete(directory, JOURNAL_FILE)


def check_free(directory: Path) -> None:
    """Raises InputError if a new run in the directory would overwrite something.

    A run that was laid out and has recorded neither a sample nor a solution does not count.
    """
    if _has_journal(directory):
        if not _holds(directory, PACKED_JOURNAL_FILE) and not has_recorded(directory / JOURNAL_FILE):
            return
        check_run(directory)  # only a run that can be resumed is said to be one
        raise InputError(f"{directory} already holds a run: resume that, or name another directory")
    if _holds(directory, CONFIG_FILE):
        if _holds(directory, ANSWERS_FILE):
            raise _incomplete(directory, JOURNAL_FILE)
        return
    taken = [name for name in (PROBLEMS_FILE, ANSWERS_FILE, FAMILY_FILE) if _holds(directory, name)]
    if taken:
        raise InputError(f"{directory} has a {taken[0]} that a run would overwrite: name another directory")


def _has_journal(directory: Path) -> bool:
    return _holds(directory, JOURNAL_FILE) or _holds(directory, PACKED_JOURNAL_FILE)


def _incomplete(directory: Path, name: str) -> InputError:
    return InputError(f"the {name} of the run in {directory} is missing: restore it, or name another directory")


def create_run(
    directory: Path, config: Config, problems: Sequence[Problem], files: Mapping[str, str] | None = None
) -> None:
    """Lay out the directory of a new run, with a copy of a user's own family and further `files` (name and text).

    Raises InputError if the directory holds a run, JournalError if it cannot be written; nothing is left there then.
    """
    check_free(directory)
    further = {**own_family_file(config), **(files or {})}
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name in (CONFIG_FILE, FAMILY_FILE):  # the run recorded nothing
            (directory / name).unlink(missing_ok=True)
        write_whole(directory / JOURNAL_FILE, "")
        write_problems(problems, directory / PROBLEMS_FILE)
        for name, text in further.items():
            write_whole(directory / name, text)
        save_config(config, directory / CONFIG_FILE)
    except (OSError, InputError) as error:
        for name in (JOURNAL_FILE, PROBLEMS_FILE, *further):
            with suppress(OSError):
                (directory / name).unlink()
        if isinstance(error, OSError):
            raise unwritable(directory, error) from error
        raise


class Journal:
    """Listener that writes what happens into the run directory."""

    def __init__(self, directory: Path, answers: Sequence[Solution] = ()) -> None:
        self._directory = directory
        self._answers = {solution.problem_id: solution.answer for solution in answers}
        packed = directory / PACKED_JOURNAL_FILE
        if packed.exists():
            raise InputError(f"the journal of {directory} is compressed: gunzip {packed} first to continue the run")
        try:
            close_last_line(directory / JOURNAL_FILE)
            self._file = os.open(directory / JOURNAL_FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            raise unwritable(directory, error) from error

    def __call__(self, event: Event) -> None:
        """Record what has started or ended; a sample is recorded as a whole, with its tokens, texts and tool runs.

        Raises JournalError if the directory cannot be written.
        """
        match event:
            case ProblemStarted(problem, prompt, allowance, lanes):
                start = RecordedStart(problem.id, prompt, allowance, lanes)
                self._append("problem", asdict(start))
            case SampleEnded(sample):
                self._append("sample", asdict(sample))
            case ProblemSolved(solution):
                self._append("solution", asdict(solution))
                self._answers[solution.problem_id] = solution.answer
                self._write_answers()
            case _ if type(event) in KIND_OF:
                self._append(KIND_OF[type(event)], asdict(event))

    def settings_changed(self, changed: Mapping[str, Any], at: float) -> None:
        """Record which keys of the configuration were changed."""
        self._append("settings", {"changed": dict(changed), "at": at})

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
            raise unwritable(self._directory, error) from error

    def _write_answers(self) -> None:
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(("id", "answer"))
        writer.writerows((id_, "" if answer is None else answer) for id_, answer in self._answers.items())
        try:
            write_whole(self._directory / ANSWERS_FILE, table.getvalue())
        except OSError as error:
            raise unwritable(self._directory, error) from error


def unwritable(directory: Path, error: OSError) -> JournalError:
    """The JournalError for a run directory that cannot be written."""
    reason = error.strerror or str(error)
    return JournalError(
        f"the run directory {directory} cannot be written ({reason}): free space or name another one; "
        "what is recorded there stays, and the run can be resumed from it"
    )


def _holds(directory: Path, name: str) -> bool:
    try:
        return (directory / name).is_file()
    except OSError as error:
        raise InputError(f"{directory} cannot be read ({error.strerror}): give the directory of a run") from error


def _journal_of(directory: Path) -> Path:
    plain, packed = directory / JOURNAL_FILE, directory / PACKED_JOURNAL_FILE
    return packed if packed.exists() and not plain.exists() else plain


def _counted_once(samples: Iterable[Sample]) -> tuple[Sample, ...]:
    """The samples without repetitions, and one for each problem and index of those that need not be drawn again."""
    each = tuple(dict.fromkeys(samples))
    chosen: dict[tuple[str, int], Sample] = {}
    for sample in each:
        key = (sample.problem_id, sample.index)
        better = key not in chosen or (chosen[key].answer is None and sample.answer is not None)
        if is_kept(sample) and better:
            chosen[key] = sample
    return tuple(s for s in each if not is_kept(s) or chosen[s.problem_id, s.index] is s)
