"""The directory of a run while this process holds it: a new one, or one whose run is resumed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from agent.config import Config
from agent.errors import InputError
from agent.files.stored_config import changed_keys
from agent.journal.claim import claim, claim_fresh
from agent.journal.journal import Journal, RunRecord, check_free, check_run, create_run, read_run
from agent.types import Problem

RUNS = Path("runs")
ENGINE_LOG = "engine.log"
# What may differ when a run is resumed, besides where its engine is: it decides no sample.
_MAY_CHANGE = ("budget.time_limit_seconds", "budget.max_cost", "problems_in_flight")


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Where a run of these problems is recorded; whoever makes one holds the directory.

    `before` is the record of a run that is resumed. The directory of a new one is laid out with further `files`, given
    as texts by name.
    """

    path: Path
    problems: Sequence[Problem]
    before: RunRecord | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def check(self) -> bool | None:
        """Whether the served model has to be checked: not for a run that is resumed and found it sound, else open."""
        return False if self.before is not None and self.before.found_sound else None

    @contextmanager
    def open_journal(self, config: Config, at: float) -> Iterator[Journal]:
        """The journal of the run, open as long as the context lasts; the directory of a new run is laid out first.

        What a resumed run sets anew is recorded, `at` seconds after the run began. Raises InputError if a new run would
        overwrite something, JournalError if the directory cannot be written.
        """
        before = self.before
        if before is None:
            create_run(self.path, config, self.problems, self.files)
        with closing(Journal(self.path, tuple(before.solved.values()) if before else ())) as journal:
            if before is not None and config != before.config:
                journal.settings_changed(changed_keys(before.config.model_dump(), config.model_dump()), at)
            yield journal

    def check_resumed(self, config: Config) -> None:
        """Raises InputError if the run that is resumed is another one: of other problems, or set otherwise."""
        if self.before is None:
            return
        if [(problem.id, problem.text) for problem in self.problems] != [(p.id, p.text) for p in self.before.problems]:
            raise InputError(f"the run in {self.path} has other problems: give those, or name another directory")
        check_model(self.before, config, self.path)
        for key in changed_keys(self.before.config.model_dump(), config.model_dump()):
            if not key.startswith("engine.") and key not in _MAY_CHANGE:
                raise InputError(
                    f"the run in {self.path} was started with another {key}: open the agent with its config.toml as "
                    "the profile, or name another directory"
                )


def check_model(before: RunRecord, config: Config, path: Path) -> None:
    """Raises InputError if a run would be resumed with another model."""
    model = before.config.engine.model
    if model and config.engine.model != model:
        raise InputError(f"the run in {path} was started with the model {model}: name that or none, or start a new run")


def hold_any_run(
    path: str | Path | None, problems: Sequence[Problem], *, resume: bool
) -> AbstractContextManager[RunDirectory | None]:
    """As `hold_run`; None where there is no directory, and nothing is recorded. Raises InputError as that does."""
    if path is None:
        if resume:
            raise InputError("a run is resumed from its directory: give its run_dir")
        return nullcontext()
    if not isinstance(path, str | Path) or not str(path):
        raise InputError(f"run_dir is {path!r}, which names no directory: give its path, or None to record nothing")
    return hold_run(Path(path), problems, resume=resume)


@contextmanager
def hold_run(path: Path, problems: Sequence[Problem], *, resume: bool) -> Iterator[RunDirectory]:
    """Hold the directory of a new run, or of the one in it that is resumed, as long as the context lasts.

    Raises InputError if it holds a run, or no run where one is resumed.
    """
    if not resume:
        with new_directory(path):
            yield RunDirectory(path, problems)
        return
    with old_directory(path):
        yield RunDirectory(path, problems, read_run(path))


@contextmanager
def old_directory(directory: Path) -> Iterator[None]:
    """Hold the directory of a run that is resumed as long as the context lasts; read it within that.

    Raises InputError if it holds no run.
    """
    check_run(directory)  # before anything is written there
    with claim(directory):
        yield


@contextmanager
def new_directory(named: Path | None, label: str = "") -> Iterator[Path]:
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
