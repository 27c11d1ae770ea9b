"""Carries out a plan: opens engine and sandbox, shows and records the run, prints what came of it."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, closing
from functools import partial
from typing import IO, cast

from rich.console import Console

from agent.chat.dialects import chat_format
from agent.chat.task import CompetitionTask, Task
from agent.cli.plan import Plan
from agent.cli.streams import HeldOutput, write_result
from agent.config import Config
from agent.engine.persistent import PersistentEngine
from agent.errors import EngineError, RequestRefusedError
from agent.events import EngineEvent, Listener, ProblemSolved, fan_out
from agent.files.stored_config import changed_keys
from agent.journal.journal import Journal, create_run, read_run
from agent.models import fetch_model
from agent.policy.budget import TimeBank
from agent.run import run_problems
from agent.setup import open_engine, open_sandbox, settle_model
from agent.types import Sample, Solution, StopReason
from agent.views.live import ViewOpener, open_view
from agent.views.table import as_json as summary_json
from agent.views.table import render

ENGINE_LOG = "engine.log"


def execute(plan: Plan, *, as_json: bool) -> None:
    """Run the plan to its end and print the result on standard output; all else goes to standard error.

    Raises AgentError for what the user has to mend, also if the engine failed at some problems; what was solved is
    recorded all the same.
    """
    console = Console(stderr=True)
    try:
        solutions = run_plan(plan, console)
    except RequestRefusedError as error:
        if plan.resume_command is None:
            raise
        raise EngineError(f"{error}; fix it and resume with: {plan.resume_command}") from error
    record = read_run(plan.directory)
    try:
        write_result(_result(plan, solutions, record.samples, as_json=as_json))
    finally:
        if not as_json:
            console.print(f"recorded in {plan.directory}", soft_wrap=True, markup=False)
    failed = [solution for solution in solutions if solution.stop is StopReason.ENGINE_ERROR]
    if failed:
        cause = next((solution.failure for solution in failed if solution.failure), "see the journal")
        raise EngineError(
            f"the engine failed at {len(failed)} of {len(solutions)} problems ({cause}); "
            f"fix it and resume with: {plan.resume_command}"
        )


def _result(plan: Plan, solutions: Sequence[Solution], samples: Sequence[Sample], *, as_json: bool) -> str:
    if as_json:
        return json.dumps(summary_json(plan.problems, solutions, samples), indent=2) + "\n"
    held = HeldOutput()
    Console(file=cast(IO[str], held)).print(render(plan.problems, solutions, samples))
    return held.text


def run_plan(plan: Plan, console: Console, *, task: Task | None = None, show: ViewOpener = open_view) -> list[Solution]:
    """Run the plan to its end, recorded in its directory, which the caller has claimed; a solution for each problem.

    A new run is laid out when the engine has come up, so that one which cannot start leaves nothing behind. `task` is
    what is asked, if not for answers of the configured edition. `show` opens the view on the console.
    Raises AgentError for what the user has to mend; an engine that failed at some problems is told in their solutions.
    """
    if plan.before and plan.before.unreadable:
        console.print(f"{plan.before.unreadable} unreadable journal lines skipped; their episodes are drawn again")
    notices = Notices(console)
    fetch = partial(fetch_model, console=console)
    engine = open_engine(plan.config, fetch, plan.directory / ENGINE_LOG, notices.take)
    terminated = signal.getsignal(signal.SIGTERM)
    try:
        return asyncio.run(_run(plan, engine, console, notices, task, show))
    except asyncio.CancelledError:  # SIGTERM ends a run as Ctrl-C does
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGTERM, terminated)  # the loop leaves the default, which would end the printing unsaid


class Notices:
    """Passes what the engine tells to the console, and to the run's listeners as soon as there are any."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._emit: Listener | None = None
        self._clock: Callable[[], float] = lambda: 0.0

    def take(self, text: str) -> None:
        """Pass the sentence on."""
        if self._emit is None:
            self._console.print(text, markup=False, highlight=False)
        else:
            self._emit(EngineEvent(text, self._clock()))

    def to(self, emit: Listener, clock: Callable[[], float]) -> None:
        """From now on they go to these listeners, with the time by the clock."""
        self._emit, self._clock = emit, clock


async def _run(
    plan: Plan, engine: PersistentEngine, console: Console, notices: Notices, task: Task | None, show: ViewOpener
) -> list[Solution]:
    main = asyncio.current_task()
    loop = asyncio.get_running_loop()
    if main is not None:
        loop.add_signal_handler(signal.SIGTERM, main.cancel)
    bank = TimeBank(plan.config.time_limit_seconds, loop.time, spent=plan.before.spent if plan.before else 0.0)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(engine.close)
        sandbox = open_sandbox(plan.config)
        stack.push_async_callback(sandbox.close)
        with console.status("starting the engine"):
            await start_engine(plan.config, engine, task or CompetitionTask(plan.config.rules))
        config = await settle_model(plan.config, engine)
        if plan.before is None:
            create_run(plan.directory, config, plan.problems, plan.files)
        solved = tuple(plan.before.solved.values()) if plan.before else ()
        journal = stack.enter_context(closing(Journal(plan.directory, solved)))
        if plan.before and config != plan.before.config:
            changed = changed_keys(plan.before.config.model_dump(), config.model_dump())
            journal.settings_changed(changed, bank.spent)
        truths = {problem.id: problem.answer for problem in plan.problems}
        view = stack.enter_context(show(console, problems=len(plan.problems), clock=lambda: bank.spent, truths=truths))
        for solution in solved:
            view(ProblemSolved(solution))
        emit = fan_out([journal, view])
        notices.to(emit, lambda: bank.spent)
        return await run_problems(plan.problems, config, engine, sandbox, emit, bank, before=plan.before, task=task)


async def start_engine(config: Config, engine: PersistentEngine, task: Task) -> None:
    """Bring the engine up, prepared for the prompts of the task. Raises EngineError if it does not come up."""
    await engine.start()
    await engine.warm(chat_format(config.sample.family, tools=config.sample.tools).prefix(task))
