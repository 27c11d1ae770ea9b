"""The default stopping rule: how long a leader is waited for, given its lead, the first vote and the share."""

from __future__ import annotations

import math

from agent.policy.settings import StoppingConfig
from agent.policy.state import GO_ON, Progress, Verdict
from agent.types import StopReason


def patience(progress: Progress, config: StoppingConfig) -> Verdict:
    """Stop when another second is worth less here than elsewhere.

    Right samples end earlier than wrong ones, so the chance that the leader is still overtaken by the right answer
    falls with its lead and with the time since the first vote, in units of the time that this vote took.
    `wait_by_lead` is that time for a lead of 1, 2 and 3; an answer that nobody opposes counts as one vote further
    ahead, a tie is waited out. Where the bank is rich the unit is `min_wait_share` of the problem's share, if that is
    longer. Votes scattered over many answers mean that the right one seldom wins in the end. Whatever the votes, a
    problem that has one ends with its share (`max_share` of it): the next problem's first votes are worth more than
    this one's later ones. A problem without a vote waits on, up to its whole allowance.
    """
    if progress.first_vote is None:
        return GO_ON
    lead = progress.tally.lead
    if lead >= config.margin:
        return Verdict(StopReason.MARGIN)
    counts = progress.counts
    if sum(counts[2:]) >= config.max_dissent:
        return Verdict(StopReason.SCATTERED)
    unit = progress.first_vote
    if math.isfinite(progress.share):
        unit = max(unit, config.min_wait_share * progress.share)
    patient = _wait(lead, unopposed=len(counts) == 1, wait_by_lead=config.wait_by_lead) * unit
    spent = config.max_share * progress.share
    until = min(patient, spent)
    if progress.elapsed < until:
        return Verdict(None, until)
    return Verdict(StopReason.PATIENCE if patient <= spent else StopReason.SHARE)


def _wait(lead: float, *, unopposed: bool, wait_by_lead: tuple[float, float, float]) -> float:
    """How long to wait, in units of the first vote's time; a half vote of a lead counts as none."""
    step = int(lead) + unopposed
    return math.inf if step == 0 else wait_by_lead[min(step, len(wait_by_lead)) - 1]
