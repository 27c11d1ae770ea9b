"""Records a run that continues where the disk is full, and reports its votes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from agent.config import Config
from agent.errors import AgentError
from agent.events import Event, SampleEnded
from agent.journal.claim import claim
from agent.journal.journal import PROBLEMS_FILE, Journal, RunRecord, create_run, read_run
from agent.policy.voting import tally
from agent.problems.writer import append_problem
from agent.types import Problem, Sample
from submission.protocol import WARNING_CHARS, LeadingAnswer


def record_of(directory: Path) -> RunRecord | None:
    """The run in a directory, None where there is none that can be read."""
    try:
        return read_run(directory)
    except AgentError:
        return None


class RunRecorder:
    """A journal that gives up when the disk does, while the run continues: `warn` is called with the reason, once.

    The directory is that of any run, so it can be replayed and reported; its list of problems grows. What happens
    before the first one is recorded with it.
    """

    def __init__(self, directory: Path, warn: Callable[[str], None]) -> None:
        before = record_of(directory)
        self._directory = directory
        self._warn = warn
        self._listed = {problem.id for problem in before.problems} if before else set()
        self._solved = tuple(before.solved.values()) if before else ()
        self._journal: Journal | None = None
        self._early: list[Event] = []
        self._claimed: ExitStack | None = None
        self._given_up = False

    def add_problem(self, problem: Problem, config: Config) -> None:
        """Put the problem on the list of the run, which is laid out with the configuration for the first one."""
        if self._given_up:
            return
        try:
            self._list(problem, config)
        except (AgentError, OSError) as error:
            self._give_up(error)

    def __call__(self, event: Event) -> None:
        """Record it."""
        if self._given_up:
            return
        if self._journal is None:
            self._early.append(event)
            return
        try:
            self._journal(event)
        except (AgentError, OSError) as error:
            self._give_up(error)

    def close(self) -> None:
        """Close the journal. May be called twice."""
        if self._journal is not None:
            self._journal.close()
        if self._claimed is not None:
            self._claimed.close()

    def _list(self, problem: Problem, config: Config) -> None:
        if self._claimed is None:
            self._claimed = ExitStack()
            self._claimed.enter_context(claim(self._directory))
        if problem.id not in self._listed:
            if self._listed:
                append_problem(problem, self._directory / PROBLEMS_FILE)
            else:
                create_run(self._directory, config, [problem])
            self._listed.add(problem.id)
        self._journal = self._journal or Journal(self._directory, self._solved)
        while self._early:
            self._journal(self._early.pop(0))

    def _give_up(self, error: AgentError | OSError) -> None:
        self._given_up = True
        self._warn(f"not recorded any more: {error}"[:WARNING_CHARS])


class VoteWatch:
    """Sends the leader of the votes on the request of this `number` whenever a sample has ended."""

    def __init__(self, config: Config, number: int, send: Callable[[LeadingAnswer], None]) -> None:
        self._config = config
        self._number = number
        self._send = send
        self._samples: list[Sample] = []

    def __call__(self, event: Event) -> None:
        """Send the leader, if a sample has ended and there is one."""
        if not isinstance(event, SampleEnded):
            return
        self._samples.append(event.sample)
        leader = tally(self._samples, self._config.voting, self._config.rules).leader
        if leader is not None:
            votes = f"{leader.samples} of {len(self._samples)} samples so far"
            self._send(LeadingAnswer(self._number, leader.answer, votes))
