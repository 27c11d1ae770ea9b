"""One problem of a run whose problems a gateway gives, in an order and a number that only it knows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from agent.config import Config
from agent.lane.runtime import Runtime
from agent.policy.budget import TimeBank, grant
from agent.policy.planning.speed import DecodingSpeed
from agent.solver import Attempt
from agent.types import Allowance, Problem, Sample, Solution, StopReason

_PAUSE_SECONDS = 5.0  # before another attempt


def next_allowance(
    bank: TimeBank,
    config: Config,
    past: Sequence[Solution],
    *,
    problems_left: int,
    at_most: float,
    expected_speed: DecodingSpeed | None = None,
) -> Allowance:
    """What the next problem is granted, with `problems_left` to go (it included): never more than `at_most` seconds.

    `past` are the solutions of the run so far, `expected_speed` what was known of the speed before them. Whatever
    `problems_in_flight` the configuration has, the problem is planned for as one that is solved alone.
    """
    alone = config.model_copy(update={"problems_in_flight": 1})
    granted = grant(bank.left, problems_left, alone, past, expected_speed)
    seconds = max(0.0, min(granted.seconds, at_most))
    extension = max(0.0, min(granted.extension_seconds, at_most - seconds))
    return replace(_within(granted, seconds), extension_seconds=extension)


async def solve_persistently(
    problem: Problem, runtime: Runtime, allowance: Allowance, prior: Sequence[Sample] = ()
) -> Solution:
    """Solve a problem; where the engine cost most of its samples, try again in what is left of the allowance.

    `prior` are samples that an interrupted worker had finished.
    """
    until = runtime.clock() + allowance.seconds
    while True:
        attempt = Attempt(problem, runtime, allowance, prior)
        solution = await attempt.solve()
        if solution.stop is not StopReason.ENGINE_ERROR or attempt.refusal is not None:
            return solution
        await asyncio.sleep(max(0.0, min(_PAUSE_SECONDS, until - runtime.clock())))
        left = until - runtime.clock()
        if left <= 0:
            return solution
        prior, allowance = attempt.reusable, _within(allowance, left)


def _within(allowance: Allowance, seconds: float) -> Allowance:
    """The allowance cut to so many seconds."""
    reserve = allowance.seconds - allowance.reasoning_seconds
    return replace(allowance, seconds=seconds, reasoning_seconds=seconds - min(reserve, seconds / 2))
