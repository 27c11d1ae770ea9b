"""The time bank: what each problem may spend, so that the run as a whole never overruns its limit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agent.config import Config
from agent.policy.first_vote import lanes_worth, usual_first_vote
from agent.policy.grants import GRANT_RULES, Bank
from agent.types import Allowance, Solution


def grant(left: float, problems_left: int, config: Config, past: Sequence[Solution] = ()) -> Allowance:
    """The allowance of the next problem, with `left` seconds in the bank and `problems_left` to go, it included.

    What the configured rule grants, or `min_first_votes` times the usual time of a first vote if that is more: less
    would most likely be spent for nothing. Between floor and ceiling, and never more than is left; where the floor is
    more than an even share, it gives way to that, as it would be taken from later problems. `past` are the solutions of
    the run so far; with several problems in flight, `problems_left` counts the rounds of them. Half of what then stays
    in the bank may make up for time in which the engine is down.
    """
    if problems_left < 1:
        raise ValueError("a grant needs a problem")
    budget = config.budget
    rounds = problems_left + len(past) / config.problems_in_flight
    bank = Bank(left, problems_left, config.time_limit_seconds / rounds, tuple(s.seconds for s in past))
    share = left / problems_left
    usual = usual_first_vote(share, past)
    ruled = GRANT_RULES[budget.rule].seconds(bank, budget)
    wanted = min(max(ruled, budget.min_first_votes * usual), budget.ceiling_seconds)
    seconds = max(0.0, min(left, max(min(budget.floor_seconds, share), wanted)))
    reserve = min(budget.answer_reserve_seconds, seconds / 2)
    lanes = lanes_worth(share, usual, config.sample.count, budget)
    return Allowance(seconds, seconds - reserve, (left - seconds) / 2, share, lanes)


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
