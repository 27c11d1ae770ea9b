"""The money of a run: what is spent, and what is reserved for the samples that run."""

from __future__ import annotations

import math
from dataclasses import dataclass

from agent.config import Config
from agent.cost.money import money_text
from agent.events import HealthChecked
from agent.journal.journal import RunRecord
from agent.policy.token_prices import PriceConfig

FORCING_TOKENS = 128
"""An upper bound on the tokens of what forces an answer, which the prompt of that request has besides the sample."""

_ROUNDING = 1e-9  # in sums of amounts, relative to the limit


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """The limits of every sample of a run, in tokens: what it may generate, and of that for a forced answer."""

    max_tokens: int
    answer_tokens: int


class CostLedger:
    """Keeps what the run's requests cost within `limit` (infinite where there is none).

    A sample is started only if there is money for all that it may need: its first request at its longest with a forced
    answer after it, or what the dearest sample of the run has cost, if that is more. That is reserved for it until it
    ends. A sample with several requests may need more; it takes that from what nobody has reserved, and where nothing
    is left its requests become shorter, so that it can always be made to answer. So the sum never passes the limit,
    unless a server generates more than it was asked for, or counts a prompt as longer than it can be.
    """

    def __init__(
        self,
        price: PriceConfig,
        lane: LaneLimits,
        limit: float = math.inf,
        *,
        spent: float = 0.0,
        dearest: float = 0.0,
    ) -> None:
        """`spent` is what earlier parts of the run have cost, `dearest` the most that one of their samples did."""
        self.price = price
        self.lane = lane
        self.limit = limit
        self.spent = spent
        self.reserved = 0.0
        self.open_accounts = 0  # those of the samples that run
        self.dearest = dearest
        self.reached = False  # whether a sample was not started for want of money

    @property
    def free(self) -> float:
        """What is neither spent nor reserved."""
        return self.limit - self.spent - self.reserved

    def needed(self, prompt: int) -> float:
        """What is reserved for a sample whose prompt has at most so many tokens."""
        tokens = self.lane.max_tokens
        return max(self.dearest, self.price.most(prompt, tokens) + self.forced_answer(prompt + tokens))

    def forced_answer(self, length: int) -> float:
        """The most that a forced answer can cost where the sample has so many tokens, its prompt included."""
        answer = self.lane.answer_tokens
        return self.price.most(length + FORCING_TOKENS, answer) if answer else 0.0

    def take(self, amount: float) -> bool:
        """Reserve so much more, if it is there."""
        if amount > self.free + (self.limit * _ROUNDING if math.isfinite(self.limit) else 0.0):
            return False
        self.reserved += max(0.0, amount)
        return True

    def stop_text(self, prompt: int) -> str:
        """Why no more samples are started, as a one-line message."""
        currency = self.price.currency
        spent, limit, needed = (money_text(each, currency) for each in (self.spent, self.limit, self.needed(prompt)))
        return (
            f"the cost limit is reached: {spent} of {limit} are spent, and another sample may cost up to {needed}; "
            "no more are started: resume with a higher --max-cost (budget.max_cost)"
        )


def open_ledger(config: Config, *, spent: float = 0.0, dearest: float = 0.0) -> CostLedger | None:
    """The ledger of a run under this configuration; None where it has no prices."""
    if not config.price.known:
        return None
    lane = LaneLimits(config.sample.max_tokens, config.sample.answer_tokens)
    return CostLedger(config.price, lane, config.budget.max_cost or math.inf, spent=spent, dearest=dearest)


def run_ledger(config: Config, before: RunRecord | None, checked: HealthChecked | None) -> CostLedger | None:
    """The ledger of a run that continues the one `before`, if any, after a check that is not recorded in it, if any."""
    spent = recorded_cost(before) + (checked.cost if checked else 0.0)
    costs = [sample.usage.cost for sample in before.samples if sample.usage] if before else []
    return open_ledger(config, spent=spent, dearest=max(costs, default=0.0))


def recorded_cost(record: RunRecord | None) -> float:
    """What a recorded run has cost, its checks of the model and samples that were interrupted included; 0 for none."""
    if record is None:
        return 0.0
    return math.fsum([*(charge.cost for charge in record.charges), *(check.cost for check in record.checks)])
