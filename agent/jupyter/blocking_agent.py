"""The agent for notebooks and other code that is not asynchronous: every call blocks until it is done."""

from __future__ import annotations

import threading
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast, overload

from agent.agent import Agent
from agent.blocking import LoopThread
from agent.config import Config, load_config
from agent.errors import InputError
from agent.events import Event, SampleEnded
from agent.journal.journal import read_run
from agent.jupyter.progress import REDRAW_SECONDS, CellProgress, open_progress
from agent.jupyter.solution import SolutionWithSamples, with_samples
from agent.jupyter.tables import solutions_table
from agent.problems.given import listed_problems, single_problem
from agent.problems.tables import is_table, problems_of_table
from agent.types import Problem, Sample

if TYPE_CHECKING:
    import pandas as pd

_STARTING = "starting the engine, and checking the model"
_CLOSED = "the agent is closed: open another one with BlockingAgent"


class BlockingAgent:
    """Solves problems with one configuration, call by call, and shows the progress of each.

        agent = BlockingAgent("cpu")
        agent.solve("What is 2^100 modulo 1000?")

    The engine is started by the first call, and serves all further ones until `close`, the end of a `with` block, or
    the end of the program; an agent that nothing refers to any more, as where its cell is run again, is closed as well.
    Interrupting a cell cancels what it solves; the engine stays.
    """

    def __init__(
        self,
        profile: str | Path | Config = "cpu",
        overrides: Mapping[str, Any] | None = None,
        *,
        check: bool | None = None,
        progress: bool = True,
    ) -> None:
        """Read the configuration; its arguments and errors are those of `Agent.open`.

        `progress` says whether the progress is shown: in a notebook in the output of the cell, else on standard error.
        """
        config = load_config(profile, overrides)
        self._progress = progress
        self._opened = _OpenedAgent(lambda: Agent.open(config, check=check))
        self._finalizer = weakref.finalize(self, _close_unattended, self._opened)

    def __enter__(self) -> BlockingAgent:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @overload
    def solve(  # type: ignore[overload-overlap]  # a str is an Iterable[str] too
        self, problems: str | Problem, *, run_dir: str | Path | None = None, resume: bool = False
    ) -> SolutionWithSamples: ...

    @overload
    def solve(
        self, problems: pd.DataFrame, *, run_dir: str | Path | None = None, resume: bool = False
    ) -> pd.DataFrame: ...

    @overload
    def solve(
        self, problems: Iterable[Problem | str], *, run_dir: str | Path | None = None, resume: bool = False
    ) -> list[SolutionWithSamples]: ...

    def solve(
        self,
        problems: str | Problem | pd.DataFrame | Iterable[Problem | str],
        *,
        run_dir: str | Path | None = None,
        resume: bool = False,
    ) -> SolutionWithSamples | list[SolutionWithSamples] | pd.DataFrame:
        """Solve one problem, a list of them, or those of a DataFrame, as one run within the configured time limit.

        A problem gives a solution and a list gives a list. A DataFrame, which has the columns of a problem file (`id`,
        `problem` and, if known, `answer`), gives one with a row for each of its rows, under the same index: see
        `solutions_table`. With a `run_dir` the run is recorded there, and continued with `resume`.

        Raises AgentError: what `Agent.open`, entering its context, and `Agent.solve_all` raise, and InputError after
        `close`.
        """
        if is_table(problems):
            asked = problems_of_table(problems)
            solved = self._solve(asked, run_dir, resume=resume) if asked else []
            return solutions_table(solved, problems.index)
        if isinstance(problems, str | Problem):
            return self._solve([single_problem(problems)], run_dir, resume=resume)[0]
        return self._solve(listed_problems(cast(Iterable[Problem | str], problems)), run_dir, resume=resume)

    @property
    def config(self) -> Config:
        """The configuration in force, which is settled when the engine has started. Raises as `Agent.open`."""
        return self._opened.agent.config

    def close(self) -> None:
        """End the engine and all Python sessions. May be called twice."""
        self._finalizer.detach()
        self._opened.close()

    def _solve(self, problems: list[Problem], run_dir: str | Path | None, *, resume: bool) -> list[SolutionWithSamples]:
        samples: dict[str, dict[int, Sample]] = defaultdict(dict)

        def keep(event: Event) -> None:
            if isinstance(event, SampleEnded):
                samples[event.sample.problem_id][event.sample.index] = event.sample

        with open_progress(problems, shown=self._progress) as progress:
            agent = self._opened.started(progress)
            listeners = [keep, progress.listener]
            solutions = self._opened.run(
                lambda: agent.solve_all(problems, run_dir=run_dir, resume=resume, listeners=listeners), progress
            )
        drawn = {id_: list(each.values()) for id_, each in samples.items()}
        if resume and run_dir is not None:  # it has samples that were drawn before
            drawn = _recorded_samples(Path(run_dir))
        return with_samples(solutions, problems, drawn, agent.config)


class _OpenedAgent:
    """The agent behind a BlockingAgent, with the thread on which it lives; both are there from the first use on."""

    def __init__(self, open_agent: Callable[[], Agent]) -> None:
        self._open_agent = open_agent
        self._agent: Agent | None = None
        self._running = False
        self._thread: LoopThread | None = None
        self._closed = False

    @property
    def agent(self) -> Agent:
        """The agent, opened if it was not."""
        if self._closed:
            raise InputError(_CLOSED)
        if self._agent is None:
            self._agent = self._open_agent()
        return self._agent

    @property
    def is_current(self) -> bool:
        """Whether this is called on its thread."""
        return self._thread is not None and self._thread.is_current

    def started(self, progress: CellProgress) -> Agent:
        """The agent with its engine up; one that does not come up is closed, so that the next call tries again."""
        agent = self.agent
        if not self._running:
            progress.say(_STARTING)
            try:
                self.run(agent.__aenter__, progress)
            except BaseException:
                self._agent = None
                raise
            self._running = True
        return agent

    def run(self, main: Callable[[], Any], progress: CellProgress) -> Any:
        """Run the coroutine on the agent's thread, drawing the progress meanwhile."""
        if self._thread is None:
            self._thread = LoopThread()
        return self._thread.run(main, meanwhile=progress.draw, every_seconds=REDRAW_SECONDS)

    def close(self) -> None:
        """Close the agent, and end its thread."""
        self._closed = True
        agent, self._agent = self._agent, None
        thread, self._thread = self._thread, None
        try:
            if thread is not None and agent is not None and self._running:
                thread.run(agent.close)
        finally:
            if thread is not None:
                thread.close()


def _close_unattended(opened: _OpenedAgent) -> None:
    """Close an agent that nobody can reach any more, from whatever thread notices that."""
    if opened.is_current:  # it cannot wait for itself
        threading.Thread(target=_close_unattended, args=(opened,)).start()
        return
    with suppress(RuntimeError):  # at the end of the program no thread can be started for what takes one
        opened.close()


def _recorded_samples(run_dir: Path) -> dict[str, list[Sample]]:
    samples: dict[str, list[Sample]] = defaultdict(list)
    for sample in read_run(run_dir).samples:
        samples[sample.problem_id].append(sample)
    return samples
