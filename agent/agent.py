"""The agent: engine, sandbox, time bank, journal and listeners of a run, composed in this one place."""

from __future__ import annotations

import asyncio
import logging
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from agent.blocking import run_blocking
from agent.chat.task import Task
from agent.config import Config, load_config
from agent.cost.ledger import recorded_cost, run_ledger
from agent.engine.base import Engine
from agent.engine.persistent import PersistentEngine
from agent.errors import InputError
from agent.events import EngineEvent, EngineStarted, HealthChecked, Listener, ProblemSolved, fan_out
from agent.health.check import is_checked
from agent.health.service import ModelService
from agent.journal.run_directory import ENGINE_LOG, RunDirectory, hold_any_run
from agent.lane.runtime import Runtime
from agent.policy.budget import TimeBank
from agent.policy.no_code import NoCodeWatch
from agent.problems.given import listed_problems, single_problem
from agent.run import OpenRun
from agent.sandbox.base import Limits, Sandbox
from agent.sandbox.forkserver import ForkServerSandbox
from agent.types import Problem, Solution

_log = logging.getLogger("agent")

_NOT_ENTERED = "the agent's engine was not started: write `async with Agent.open(...) as agent:`, and solve within that"
_CLOSED = "the agent is closed: open another one with Agent.open"


class Agent:
    """Solves problems with the engine and the sandbox of one configuration, on one event loop.

        async with Agent.open("cpu") as agent:
            solution = await agent.solve("What is 2^100 modulo 1000?")

    Entering the context starts the engine; leaving it, also by an error, closes the engine and the sandbox. Each call
    of `solve` or `solve_all` is a run of its own: it has the whole time limit of the configuration, and is recorded
    only if it is given a directory.
    """

    def __init__(
        self,
        config: Config,
        engine: Engine | PersistentEngine,
        sandbox: Sandbox | None = None,
        *,
        task: Task | None = None,
        on_engine_event: Callable[[str], None] = _log.warning,
    ) -> None:
        """Compose an agent of parts that exist already, and that it closes; most callers want `Agent.open`.

        Without a `sandbox` the configured one is used. `task` is what is asked, if not for answers of the configured
        edition. `on_engine_event` is called with a one-line message when something happens to the engine while no run
        is under way; during a run that is an event of the run. A PersistentEngine keeps its own `on_event` instead.
        """
        keys = config.sandbox
        limits = Limits(keys.cell_seconds, keys.memory_mib << 20, keys.output_chars)
        self.sandbox = sandbox or ForkServerSandbox(limits)
        self._task = task
        self._on_engine_event = on_engine_event
        self._runs: list[tuple[Listener, TimeBank]] = []  # under way
        self._own_log: Path | None = None
        self._no_code = NoCodeWatch()
        self._failed = False
        self._unusable = ""  # why it solves nothing now
        self._service = ModelService(config, engine, say=self._engine_happened, tell=on_engine_event)

    @classmethod
    def open(
        cls,
        profile: str | Path | Config = "cpu",
        overrides: Mapping[str, Any] | None = None,
        *,
        task: Task | None = None,
        log: Path | None = None,
        fetch: Callable[[str], Path] | None = None,
        check: bool | None = None,
        cost_before: float = 0.0,
        on_engine_event: Callable[[str], None] = _log.warning,
    ) -> Agent:
        """Open the agent of a profile (a bundled name or the path of a TOML file) or of a configuration.

        `overrides` set dotted keys anew. `log` is the file that a server of ours writes to; by default it is in the
        system's temporary directory, and removed on closing unless something happened to the engine. `fetch` finds a
        model's file by its name; by default a known model that is missing is downloaded now, which may take minutes.
        `check` says whether the served model is checked on entering the context, by default `engine.check`; by then
        the run has cost `cost_before`. `task` and `on_engine_event` are those of the constructor.

        Raises ConfigError if the configuration is not valid or does not fit this machine, ModelError if the model is
        not available.
        """
        config = load_config(profile, overrides)
        own_log = None
        if log is None:
            own_log = log = Path(tempfile.gettempdir()) / f"aimo-agent-{secrets.token_hex(8)}" / ENGINE_LOG

        def on_event(text: str) -> None:
            agent._engine_happened(text)

        # Its clients are slow to import, and often not needed.
        from agent.engine.configured import open_engine, settle_family, settle_hub_model

        settled = settle_family(settle_hub_model(config), fetch)
        reopen = partial(open_engine, fetch=fetch, log=log, on_event=on_event)
        agent = cls(config, reopen(settled), task=task, on_engine_event=on_engine_event)
        agent._service.settle(settled)
        agent._service.reopen = reopen if check or (check is None and is_checked(settled)) else None
        agent._service.cost_before = cost_before
        agent._own_log = own_log
        agent._unusable = _NOT_ENTERED
        return agent

    @property
    def config(self) -> Config:
        """The configuration in force: with what was left to be found, and what the check of the model changed."""
        return self._service.config

    @property
    def engine(self) -> PersistentEngine:
        """The engine that serves the model."""
        return self._service.engine

    @property
    def checked(self) -> HealthChecked | None:
        """How the check of the model went, None where there was none."""
        return self._service.checked

    @property
    def started(self) -> EngineStarted | None:
        """How the server came up, None where it is none of ours or tells nothing of its start."""
        return self._service.started

    @property
    def gpu_mismatch(self) -> str:
        """What speaks against the GPUs that were found at the start, "" if nothing does."""
        return self._service.gpu_mismatch

    @property
    def start_parts(self) -> Mapping[str, float]:
        """The seconds that the parts of the start took, by their names."""
        return self._service.start_parts

    async def __aenter__(self) -> Agent:
        try:
            await self.start()
        except BaseException:
            self._failed = True
            await self.close()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()

    async def start(self) -> None:
        """Start the engine, with the task's prompt prefix evaluated, then check its model.

        Raises EngineError if it does not come up, ConfigError if the family of what a server serves is to be found but
        is not certain, InputError if the agent was closed, UnhealthyModelError if the model fails its check: it can be
        used all the same.
        """
        if self._unusable == _CLOSED:
            raise InputError(_CLOSED)
        self._unusable = ""
        await self._service.start(self.sandbox, self._task)

    async def close(self) -> None:
        """End all Python sessions, and the engine's server if it is ours. May be called twice."""
        self._unusable = _CLOSED
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.engine.close)
            stack.push_async_callback(self.sandbox.close)
        if self._own_log is not None and not self._failed:
            shutil.rmtree(self._own_log.parent, ignore_errors=True)

    async def solve(
        self,
        problem: Problem | str,
        *,
        run_dir: str | Path | None = None,
        resume: bool = False,
        listeners: Sequence[Listener] = (),
    ) -> Solution:
        """Solve one problem, a `Problem` or its text, as a run of its own; see `solve_all`."""
        return (await self.solve_all([single_problem(problem)], run_dir=run_dir, resume=resume, listeners=listeners))[0]

    async def solve_all(
        self,
        problems: Iterable[Problem | str],
        *,
        run_dir: str | Path | None = None,
        resume: bool = False,
        listeners: Sequence[Listener] = (),
    ) -> list[Solution]:
        """Solve problems as one run within the configured time limit; return a solution for each, in their order.

        The id of a text is its position, from 1. With a `run_dir` the run is recorded there, and can be reported,
        replayed and, with `resume`, continued; without one nothing is written. `listeners` are called with the events
        of the run, in a resumed one first with the solutions that it has already; `agent.views.live.open_view` opens
        one that shows progress. An engine that fails is not raised: the solution says so.

        Raises InputError outside of the agent's context and for problems or a directory that cannot be used,
        JournalError if the directory cannot be written, RequestRefusedError if the server refuses the run's requests
        for good.
        """
        asked = listed_problems(problems)
        if self._unusable:
            raise InputError(self._unusable)
        with hold_any_run(run_dir, asked, resume=resume) as directory:
            return await self._solve_all(asked, directory, listeners)

    @classmethod
    def run(
        cls,
        problems: Iterable[Problem | str],
        profile: str | Path | Config = "cpu",
        overrides: Mapping[str, Any] | None = None,
        *,
        run_dir: str | Path | None = None,
        resume: bool = False,
        listeners: Sequence[Listener] = (),
    ) -> list[Solution]:
        """Open an agent, solve problems and close it, in one blocking call.

            Agent.run(["What is 2^100 modulo 1000?"], "cpu")[0].answer

        Where an event loop is running, as in a notebook, the agent gets a thread of its own, which calls the listeners
        too. Arguments and errors are those of `open` and `solve_all`, and EngineError if the engine does not come up.
        """
        asked = listed_problems(problems)

        async def main() -> list[Solution]:
            async with agent:
                return await agent._solve_all(asked, directory, listeners)

        with hold_any_run(run_dir, asked, resume=resume) as directory:
            log = None if directory is None else directory.path / ENGINE_LOG
            check, before = (directory.check, directory.before) if directory else (None, None)
            agent = cls.open(profile, overrides, log=log, check=check, cost_before=recorded_cost(before))
            return run_blocking(main)

    @contextmanager
    def begin(
        self,
        listeners: Sequence[Listener] = (),
        *,
        directory: RunDirectory | None = None,
        bank: TimeBank | None = None,
    ) -> Iterator[OpenRun]:
        """Open a run for as long as the context lasts, recorded in the `directory` if there is one.

        For callers that decide themselves what is solved when; others use `solve_all`. `bank` is the run's time bank if
        its time has begun already; by default it has the whole time limit from now on. Raises InputError or
        JournalError as `solve_all` does.
        """
        before = directory.before if directory else None
        spent = before.spent if before else 0.0
        opened = bank or TimeBank(self.config.time_limit_seconds, asyncio.get_running_loop().time, spent=spent)
        with ExitStack() as stack:
            journal = [stack.enter_context(directory.open_journal(self.config, opened.spent))] if directory else []
            if before:
                for solution in before.solved.values():
                    fan_out(listeners)(ProblemSolved(solution))
                self._no_code.resume(before.samples, len(before.solved))
            family = self.config.sample.family if self.config.sample.runs_code else ""
            emit = self._no_code.watched(fan_out([*journal, *listeners]), family, lambda: opened.spent)
            self._runs.append(run := (emit, opened))
            stack.callback(self._runs.remove, run)
            checked = None if before and self.checked in before.checks else self._service.bill_check()  # recorded once
            started = None if before and self.started in before.engine_starts else self.started
            parts = (self.config, self.engine, self.sandbox, emit, lambda: opened.spent, self._task)
            runtime = Runtime(*parts, run_ledger(self.config, before, checked), self._service.expected_speed)
            yield OpenRun(runtime, opened, before, checked, started)

    async def _solve_all(
        self, problems: Sequence[Problem], directory: RunDirectory | None, listeners: Sequence[Listener]
    ) -> list[Solution]:
        if directory is not None:
            directory.check_resumed(self.config)
        with self.begin(listeners, directory=directory) as run:
            return await run.solve_all(problems)

    def _engine_happened(self, text: str) -> None:
        self._failed = True
        if not self._runs:
            self._on_engine_event(text)
        for emit, bank in self._runs:
            emit(EngineEvent(text, bank.spent))
