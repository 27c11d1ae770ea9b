"""What samples have cost, and how money is written. Needs the standard library alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from agent.types import Sample


def money_text(amount: float, currency: str) -> str:
    """An amount as it is shown: to cents, and below 1 to four digits after the point.

    >>> money_text(12.345, "USD"), money_text(0.01234, "USD")
    ('12.35 USD', '0.0123 USD')
    """
    return f"{amount:,.{2 if amount >= 1 else 4}f} {currency}"


def cost_of(samples: Iterable[Sample]) -> float | None:
    """What the samples have cost together; None where none of them has a cost."""
    costs = [sample.usage.cost for sample in samples if sample.usage is not None]
    return math.fsum(costs) if costs else None


def currency_of(samples: Iterable[Sample]) -> str:
    """The currency of the samples' costs; "" where none of them has a cost."""
    return next((sample.usage.currency for sample in samples if sample.usage is not None), "")


def cost_text(samples: Sequence[Sample]) -> str:
    """What the samples have cost together, as it is shown; "" where none of them has a cost."""
    cost = cost_of(samples)
    return "" if cost is None else money_text(cost, currency_of(samples))
