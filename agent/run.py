"""Many problems: grants each its time, solves it, and resumes where an interrupted run stopped."""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from agent.events import EngineStarted, HealthChecked
from agent.journal.journal import RunRecord
from agent.lane.runtime import Runtime
from agent.policy.budget import TimeBank, grant
from agent.solver import Attempt
from agent.types import Problem, Sample, Solution, StopReason

_BROKEN_PAUSE_SECONDS = 1.0  # before another attempt at a problem; it doubles each time


@dataclass(frozen=True, slots=True)
class OpenRun:
    """A run under way: what its samples work with, its time bank, and what it recorded before an interruption.

    `checked` says how the served model was checked before it, `started` how the server came up before that check: None
    if it was not checked, or is none of ours, or that is recorded already.
    """

    runtime: Runtime
    bank: TimeBank
    before: RunRecord | None = None
    checked: HealthChecked | None = None
    started: EngineStarted | None = None

    def tell_start(self) -> None:
        """Tell the listeners how the server came up, and how the model was checked."""
        if self.started is not None:
            self.runtime.emit(self.started)
        if self.checked is not None:
            self.runtime.emit(self.checked)

    async def solve_all(self, problems: Sequence[Problem]) -> list[Solution]:
        """Solve the problems in what is left of the run's time, as `run_problems`; first tell how the start went."""
        self.tell_start()
        return await run_problems(problems, self.runtime, self.bank, before=self.before)


async def run_problems(
    problems: Sequence[Problem], runtime: Runtime, bank: TimeBank, *, before: RunRecord | None = None
) -> list[Solution]:
    """Solve the problems within what the bank has left; a solution each, in their order.

    They are started in their order, `problems_in_flight` at a time. Problems that an interrupted run (`before`) solved
    are not solved again; of those that it was at, the samples that had ended are kept. A problem that the engine cost
    is put back, behind the others.

    Raises RequestRefusedError if the server refuses the run's requests for good.
    """
    run = _Run(problems, runtime, bank, before)
    workers = [asyncio.create_task(run.work()) for _ in range(min(runtime.config.problems_in_flight, len(run.waiting)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    return [run.solved[problem.id] for problem in problems]


class _Run:
    """The problems that wait, and the solutions of the others."""

    def __init__(self, problems: Sequence[Problem], runtime: Runtime, bank: TimeBank, before: RunRecord | None) -> None:
        self._runtime = runtime
        self._bank = bank
        self._kept: dict[str, list[Sample]] = {}
        self._broken: Counter[str] = Counter()  # attempts at which streams kept breaking
        self._refused = 0  # problems in a row
        self.solved = before.solved if before else {}
        self.waiting = deque(problem for problem in problems if problem.id not in self.solved)
        if before:
            self._kept = {problem.id: before.samples_of(problem.id) for problem in self.waiting}

    async def work(self) -> None:
        """Solve problems until none waits."""
        config, engine = self._runtime.config, self._runtime.engine
        while self.waiting:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._bank.left):
                    await engine.ready()  # no problem pays for the wait
            if not self.waiting:
                return  # another worker took the last one meanwhile
            rounds = math.ceil(len(self.waiting) / config.problems_in_flight)
            problem = self.waiting.popleft()
            if self._broken[problem.id]:  # a server that fails now and then may have recovered
                await asyncio.sleep(min(self._bank.left, _BROKEN_PAUSE_SECONDS * 2.0 ** self._broken[problem.id]))
            past, speed = list(self.solved.values()), self._runtime.expected_speed
            allowance = grant(self._bank.left, rounds, config, past, speed)
            attempt = Attempt(problem, self._runtime, allowance, self._kept.get(problem.id, ()))
            solution = await attempt.solve()
            self._refused = self._refused + 1 if attempt.refusal else 0
            if attempt.refusal is not None and (self._refused > 1 or not self.solved):
                raise attempt.refusal  # not for one problem: for the run
            if attempt.refusal is None and self._is_put_back(solution):
                self._kept[problem.id] = attempt.reusable
                self.waiting.append(problem)
            else:
                self.solved[problem.id] = solution

    def _is_put_back(self, solution: Solution) -> bool:
        """Whether the engine cost the problem, and another attempt may help.

        One that the engine was away for may be tried again as long as there is time; one at which it broke its streams
        `retries` times.
        """
        if solution.stop is not StopReason.ENGINE_ERROR or self._bank.left <= 0:
            return False
        if self._runtime.engine.unavailable:
            return True
        self._broken[solution.problem_id] += 1
        return self._broken[solution.problem_id] <= self._runtime.config.engine.retries
