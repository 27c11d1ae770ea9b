"""The time bank: what each problem may spend, so that the run as a whole never overruns its limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agent.config import Config
from agent.policy.planning.plan import RunSoFar
from agent.policy.planning.planners import PLANNERS
from agent.policy.planning.speed import DecodingSpeed
from agent.types import Allowance, Solution


def grant(
    left: float,
    problems_left: int,
    config: Config,
    past: Sequence[Solution] = (),
    expected_speed: DecodingSpeed | None = None,
) -> Allowance:
    """The allowance of the next problem, with `left` seconds in the bank and `problems_left` to go, it included.

    What the configured planner gives, between floor and ceiling, and never more than is left; where the floor is more
    than an even share, it gives way to that, as it would be taken from later problems. `past` are the solutions of the
    run so far; with several problems in flight, `problems_left` counts the rounds of them. `expected_speed` is what is
    known of the speed before anything is measured. Half of what then stays in the bank may make up for time in which
    the engine is down.
    """
    if problems_left < 1:
        raise ValueError("a grant needs a problem")
    budget = config.budget
    rounds = problems_left + len(past) / config.problems_in_flight
    mean, count, in_flight = config.time_limit_seconds / rounds, config.sample.count, config.problems_in_flight
    asks = budget.answer_reserve_seconds > 0 and config.sample.answer_tokens > 0
    run = RunSoFar(left, problems_left, mean, count, tuple(past), in_flight, asks, expected_speed)
    plan = PLANNERS[budget.planner].plan(run, budget)
    wanted = min(plan.seconds, budget.ceiling_seconds)
    seconds = max(0.0, min(left, max(min(budget.floor_seconds, run.share), wanted)))
    reserve = min(budget.answer_reserve_seconds, seconds / 2)
    return Allowance(seconds, seconds - reserve, (left - seconds) / 2, run.share, plan.lanes, plan.price)


class TimeBank:
    """The run's time: how much has gone, how much is left. Times in seconds; `clock` must never go back."""

    def __init__(self, limit: float, clock: Callable[[], float], *, spent: float = 0.0) -> None:
        self._limit = limit
        self._clock = clock
        self._opened = clock() - spent

    @property
    def spent(self) -> float:
        """Seconds since the run began, those of an interrupted run before it included."""
        return self._clock() - self._opened

    @property
    def left(self) -> float:
        """Seconds until the run's limit, never below 0."""
        return max(0.0, self._limit - self.spent)
