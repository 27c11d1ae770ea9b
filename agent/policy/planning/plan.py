"""What a planner may look at of a run, and what it says about the next problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.policy.planning.speed import DecodingSpeed
from agent.policy.settings import BudgetConfig
from agent.types import Solution


@dataclass(frozen=True, slots=True)
class RunSoFar:
    """A run before one of its problems.

    `left` are the seconds in its bank, `problems_left` the problems to go, this one included; where several are
    `in_flight`, the rounds of them. `mean` is an equal slice of the whole run in seconds, `max_lanes` how many samples
    of a problem are configured, `asks_unfinished` whether those that are unfinished at the end are forced to answer.
    `past` are the solutions until now, in the order in which the problems were closed, `expected_speed` is what was to
    be expected before them, None where nothing was known.
    """

    left: float
    problems_left: int
    mean: float
    max_lanes: int
    past: tuple[Solution, ...] = ()
    in_flight: int = 1
    asks_unfinished: bool = False
    expected_speed: DecodingSpeed | None = None

    @property
    def share(self) -> float:
        """The seconds left for each problem to go."""
        return self.left / self.problems_left


@dataclass(frozen=True, slots=True)
class ProblemPlan:
    """What the next problem gets: at most `seconds` (which the bank cuts to what it has), and `lanes` to start with.

    `price` is what a second is worth to the problems after it, in right answers; 0 where time is worth nothing.
    """

    seconds: float
    lanes: int
    price: float = 0.0


@dataclass(frozen=True, slots=True)
class Planner:
    """How a problem's time and lanes are planned; `source` is as that of a stopping rule."""

    plan: Callable[[RunSoFar, BudgetConfig], ProblemPlan]
    source: str = ""
