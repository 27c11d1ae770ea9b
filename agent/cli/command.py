"""Carries out a run as it is specified: opens an agent, shows and records the run, and prints the result."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import IO, cast

from rich.console import Console

from agent.agent import Agent
from agent.chat.task import Task
from agent.cli.run_spec import RunSpec
from agent.cli.streams import HeldOutput, write_result
from agent.cost.ledger import recorded_cost
from agent.cost.money import cost_of, money_text
from agent.errors import EngineError, RequestRefusedError
from agent.journal.journal import RunRecord, read_run
from agent.journal.run_directory import ENGINE_LOG
from agent.models.store import fetch_model
from agent.policy.budget import TimeBank
from agent.types import Sample, Solution, StopReason
from agent.views.live import ViewOpener, open_view
from agent.views.table import as_json as summary_json
from agent.views.table import render

_MORE = 1.0001  # times the samples' cost: more than rounding


def execute(spec: RunSpec, *, as_json: bool) -> None:
    """Carry the run out to its end and print the result on standard output; all else goes to standard error.

    Raises AgentError for what the user has to fix, also if the engine failed at some problems; what was solved is
    recorded all the same.
    """
    console = Console(stderr=True)
    for line in filter(None, (spec.announcement, spec.doubt)):
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    try:
        solutions = run_to_end(spec, console)
    except RequestRefusedError as error:
        if spec.resume_command is None:
            raise
        raise EngineError(f"{error}; fix it and resume with: {spec.resume_command}") from error
    record = read_run(spec.directory)
    try:
        write_result(_result(spec, solutions, record.samples, as_json=as_json))
    finally:
        if not as_json:
            _say_cost(spec, record, console)
            console.print(f"recorded in {spec.directory}", soft_wrap=True, markup=False)
    failed = [solution for solution in solutions if solution.stop is StopReason.ENGINE_ERROR]
    if failed:
        cause = next((solution.failure for solution in failed if solution.failure), "see the journal")
        raise EngineError(
            f"the engine failed at {len(failed)} of {len(solutions)} problems ({cause}); "
            f"fix it and resume with: {spec.resume_command}"
        )


def _say_cost(spec: RunSpec, record: RunRecord, console: Console) -> None:
    """Say what the run has cost where its samples do not tell all of it, or where there is a limit."""
    price, limit = spec.config.price, spec.config.budget.max_cost
    spent = recorded_cost(record)
    more = spent > (cost_of(record.samples) or 0.0) * _MORE
    if not price.known or not (limit or more):
        return
    most = f" of at most {money_text(limit, price.currency)}" if limit else ""
    rest = ", with its check and what was interrupted" if more else ""
    text = f"the run has cost {money_text(spent, price.currency)}{most}{rest}"
    console.print(text, soft_wrap=True, markup=False, highlight=False)


def _result(spec: RunSpec, solutions: Sequence[Solution], samples: Sequence[Sample], *, as_json: bool) -> str:
    if as_json:
        return json.dumps(summary_json(spec.problems, solutions, samples, spec.config.rules), indent=2) + "\n"
    held = HeldOutput()
    Console(file=cast(IO[str], held)).print(render(spec.problems, solutions, samples, spec.config))
    return held.text


def run_to_end(
    spec: RunSpec, console: Console, *, task: Task | None = None, show: ViewOpener = open_view
) -> list[Solution]:
    """Carry the run out, recorded in its directory, which the caller has claimed; a solution for each problem.

    A new run is laid out when the engine has come up, so that one which cannot start leaves nothing behind. `task` is
    what is asked, if not for answers of the configured edition. `show` opens the view on the console.
    Raises AgentError for what the user has to fix; where the engine failed at a problem, its solution says so.
    """
    if spec.before and spec.before.unreadable:
        console.print(f"{spec.before.unreadable} unreadable journal lines skipped; what they held is drawn again")
    agent = Agent.open(
        spec.config,
        task=task,
        log=spec.directory / ENGINE_LOG,
        fetch=partial(fetch_model, console=console),
        check=spec.run_directory.check,
        cost_before=recorded_cost(spec.before),
        on_engine_event=partial(console.print, markup=False, highlight=False),
    )
    terminated = signal.getsignal(signal.SIGTERM)
    try:
        return asyncio.run(_run(spec, agent, console, show))
    except asyncio.CancelledError:  # SIGTERM ends a run as Ctrl-C does
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGTERM, terminated)  # the loop leaves the default, which would end the printing unsaid


async def _run(spec: RunSpec, agent: Agent, console: Console, show: ViewOpener) -> list[Solution]:
    main = asyncio.current_task()
    loop = asyncio.get_running_loop()
    if main is not None:
        loop.add_signal_handler(signal.SIGTERM, main.cancel)
    # The start of the engine is a part of the run: its time counts.
    bank = TimeBank(spec.config.time_limit_seconds, loop.time, spent=spec.before.spent if spec.before else 0.0)
    async with AsyncExitStack() as stack:
        with console.status("starting the engine, and checking what it serves"):
            await stack.enter_async_context(agent)
        listeners = [stack.enter_context(show(spec.problems, console))]
        run = stack.enter_context(agent.begin(listeners, directory=spec.run_directory, bank=bank))
        return await run.solve_all(spec.problems)
