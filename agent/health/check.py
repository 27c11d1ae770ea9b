"""Has the served model answer the two problems of the check, under the settings of its run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from agent.config import Config
from agent.cost.ledger import open_ledger
from agent.engine.persistent import PersistentEngine
from agent.events import Event, SampleEnded
from agent.health.verdict import Health, health_of
from agent.lane.runtime import Runtime
from agent.problems.reader import check_problems
from agent.sandbox.base import Sandbox
from agent.solver import Attempt
from agent.types import Allowance, Learnt, Problem, Sample, Solution, StopReason

CHECK_SECONDS = 90.0
"""The longest that a check takes, its forced answers included; one of a shorter run takes no longer than that."""

_ANSWER_SHARE = 1 / 6  # that a check keeps for its forced answers
_MAX_LANES = 2  # for one problem
_NO_MONEY = "budget.max_cost is too little for it"
_MAX_TOKENS = 2_048  # a model that thinks long has its answer forced then


def is_checked(config: Config) -> bool:
    """Whether the model of a configuration is checked before a run of its own.

    Where that is left open, all are but a known one that is computed here: its file has the right digest, and all
    other embedded ones are paths.
    """
    engine = config.engine
    if engine.check == "auto":
        return engine.kind != "embedded" or "/" in engine.model or engine.model.endswith(".gguf")
    return engine.check == "always"


async def check_served_model(
    config: Config, engine: PersistentEngine, sandbox: Sandbox, *, spent: float = 0.0
) -> Health:
    """Draw a few lanes of both problems side by side, until each has a right answer, and judge by them.

    No vote of it counts in any run. It may cost what budget.max_cost leaves beside what the run has `spent`.
    Raises RequestRefusedError if the server refuses the requests for good.
    """
    problems = check_problems()
    sample = config.sample
    small = {
        "count": min(sample.count, _MAX_LANES),
        "max_tokens": min(sample.max_tokens, _MAX_TOKENS),
        "probe_tokens": 0,
    }
    check = _Check(config.model_copy(update={"sample": sample.model_copy(update=small)}), engine, sandbox, spent)
    solutions = await asyncio.gather(*map(check.solve, problems))
    failures = (_NO_MONEY if each.stop is StopReason.COST_LIMIT else each.failure for each in solutions)
    cut = any(each.stop is StopReason.COST_LIMIT for each in solutions)
    health = health_of(problems, check.samples, next(filter(None, failures), ""), cut=cut)
    cost = check.ledger.spent - spent if check.ledger else 0.0
    return replace(health, cost=cost, learnt=_learnt_of(solutions))


def _learnt_of(solutions: Sequence[Solution]) -> tuple[Learnt, ...]:
    """What each problem tells, with the lanes of all, as they ran side by side."""
    learnt = [solution.learnt for solution in solutions if solution.learnt is not None]
    lanes = sum(each.lanes for each in learnt)
    return tuple(replace(each, lanes=lanes) for each in learnt)


class _Check:
    """Solves the problems and keeps their samples."""

    def __init__(self, config: Config, engine: PersistentEngine, sandbox: Sandbox, spent: float) -> None:
        self._config = config
        self._engine = engine
        self._sandbox = sandbox
        self._clock = asyncio.get_running_loop().time
        self.ledger = open_ledger(config, spent=spent)
        self.samples: list[Sample] = []

    async def solve(self, problem: Problem) -> Solution:
        """Solve a problem until a lane has it right."""
        solved = asyncio.Event()

        def keep(event: Event) -> None:
            if isinstance(event, SampleEnded):
                self.samples.append(event.sample)
                if event.sample.answer == problem.answer:
                    solved.set()

        runtime = Runtime(self._config, self._engine, self._sandbox, keep, self._clock, ledger=self.ledger)
        seconds = min(CHECK_SECONDS, self._config.time_limit_seconds)
        attempt = Attempt(problem, runtime, Allowance(seconds, seconds * (1 - _ANSWER_SHARE)), ())
        solution = await attempt.solve(solved)
        if attempt.refusal is not None:
            raise attempt.refusal
        return solution
