"""The stopping rule "price": how long a leader is waited for, given its lead, the first vote and a second's price."""

from __future__ import annotations

from agent.policy.settings import StoppingConfig
from agent.policy.state import GO_ON, Progress, Verdict
from agent.types import StopReason

_LEAST_PRICE = 0.002  # right answers for the time of a first vote: also where another second buys nothing elsewhere
_DECIDED = 4  # votes by which a leader is ahead that is waited for no longer
_WAIT, _BY_STEP, _BY_OTHER, _BY_PRICE = 1.1, 1.8, 1.4, -0.4


def priced(progress: Progress, config: StoppingConfig) -> Verdict:
    """Stop when another second is worth less here than elsewhere.

    With t the time of the first vote, `step` the lead and one more if nobody opposes the leader, and `others` the votes
    for neither of the first two answers, that is at

        t * max(1, 1.1 * 1.8^(1 - step) * 1.4^(-others) * (price * t)^(-0.4))

    and at once at a lead of 4. Time always has some price, 0.002 right answers for t, also where no bank is kept.
    """
    if progress.first_vote is None:
        return GO_ON
    counts, lead = progress.counts, progress.tally.lead
    if lead >= _DECIDED:
        return Verdict(StopReason.MARGIN)
    first = progress.first_vote
    price = max(progress.price * first, _LEAST_PRICE)
    step, others = int(lead) + (len(counts) == 1), sum(counts[2:])
    until = first * max(1.0, _WAIT * _BY_STEP ** (1 - step) * _BY_OTHER**-others * price**_BY_PRICE)
    return Verdict(None, until) if progress.elapsed < until else Verdict(StopReason.PATIENCE)
