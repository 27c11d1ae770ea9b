"""How much of the time bank the next problem may use, by each of the known rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.policy.settings import BudgetConfig


@dataclass(frozen=True, slots=True)
class Bank:
    """The bank before a problem: seconds `left`, `problems_left` with this one, seconds `used` by each one before.

    `mean` is an equal slice of the whole run.
    """

    left: float
    problems_left: int
    mean: float
    used: tuple[float, ...]


def spread(bank: Bank, budget: BudgetConfig) -> float:
    """`spread` x left / problems left; above 1 an early problem borrows from later ones, and what it saves flows back.

    A spread of 1 is the even share of what is left.
    """
    return budget.spread * bank.left / bank.problems_left


def equal(bank: Bank, budget: BudgetConfig) -> float:
    """An equal slice each, without roll-over."""
    return bank.mean


def nemoskills_grant(bank: Bank, budget: BudgetConfig) -> float:
    """AIMO-2's winner (NVIDIA NemoSkills): 350 s, and up to 210 s more out of what earlier problems left over.

    Their competition gave 360 s a problem; the constants scale with it.
    """
    base = bank.mean * 350 / 360
    pool = 0.0
    for seconds in bank.used:
        pool = max(0.0, pool + base - seconds)
    return base + min(pool, bank.mean * 210 / 360)


def aimo3_clamp(bank: Bank, budget: BudgetConfig) -> float:
    """The AIMO-3 base notebook: left - 240 s for each other problem, between 240 s and 960 s.

    Their competition gave 360 s a problem; the constants scale with it.
    """
    unit = bank.mean * 240 / 360
    return min(max(bank.left - (bank.problems_left - 1) * unit, unit), 4 * unit)


@dataclass(frozen=True, slots=True)
class GrantRule:
    """What the next problem may use, in seconds; `source` is as that of a stopping rule.

    `agent.policy.planning.granted` makes a planner of it.
    """

    seconds: Callable[[Bank, BudgetConfig], float]
    source: str = ""
