"""Many problems: grants each its time, solves it, and goes on where an interrupted run stopped."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

from agent.budget import TimeBank, grant
from agent.config import Config
from agent.engine.base import Engine
from agent.journal import RunRecord
from agent.observer import Observer
from agent.runtime import Runtime
from agent.sandbox.base import Sandbox
from agent.solver import solve_problem
from agent.task import Task
from agent.types import Problem, Solution


async def run_problems(
    problems: Sequence[Problem],
    config: Config,
    engine: Engine,
    sandbox: Sandbox,
    observer: Observer,
    bank: TimeBank,
    *,
    before: RunRecord | None = None,
    task: Task | None = None,
) -> list[Solution]:
    """Solve the problems within what the bank has left; a solution each, in their order.

    They are started in their order, `problems_in_flight` at a time. Problems that an interrupted run (`before`) solved
    are not solved again; of those that it was at, the samples that had ended are kept.
    `task` is what is asked, if not for answers of the configured edition.
    """
    solved = before.solved if before else {}
    runtime = Runtime(config, engine, sandbox, observer, lambda: bank.spent, task)
    owed = [problem for problem in problems if problem.id not in solved]
    waiting = list(reversed(owed))

    async def work() -> None:
        while waiting:
            rounds = math.ceil(len(waiting) / config.problems_in_flight)
            problem = waiting.pop()
            allowance = grant(bank.left, rounds, config, list(solved.values()))
            prior = before.samples_of(problem.id) if before else []
            solved[problem.id] = await solve_problem(problem, runtime, allowance, prior)

    workers = [asyncio.create_task(work()) for _ in range(min(config.problems_in_flight, len(owed)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return [solved[problem.id] for problem in problems]
