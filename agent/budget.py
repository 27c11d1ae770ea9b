"""The time bank: what each problem may spend, so that the run as a whole never overruns its limit."""

from __future__ import annotations

from collections.abc import Callable

from agent.config import BudgetConfig
from agent.types import Allowance


def grant(left: float, problems_left: int, budget: BudgetConfig) -> Allowance:
    """The allowance of the next problem, with `left` seconds in the bank and `problems_left` to go, it included.

    clip(spread * left / problems_left, floor, ceiling), and never more than is left. With a spread above 1 an early
    problem may borrow from the later ones; what it does not use flows back, because the next grant looks at what is
    really left. Half of what then stays in the bank may make up for time in which the engine is down.
    """
    if problems_left < 1:
        raise ValueError("a grant needs a problem")
    share = budget.spread * left / problems_left
    seconds = max(0.0, min(left, max(budget.floor_seconds, min(share, budget.ceiling_seconds))))
    reserve = min(budget.answer_reserve_seconds, seconds / 2)
    return Allowance(seconds, seconds - reserve, (left - seconds) / 2)


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
