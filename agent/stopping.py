"""Tally and lanes still running -> stop or go on, and why."""

from __future__ import annotations

from agent.types import StopReason, Tally


def stop_reason(tally: Tally, running: int, *, margin: float, largest_weight: float) -> StopReason | None:
    """Why the problem can be closed now, or None to go on.

    `running` lanes may still vote with at most `largest_weight` each. Uncatchable is lossless for the vote: even if
    every running lane voted for the runner-up, the leader would win. Margin gives up a little accuracy for time: a
    lead of 3 is what sequential probability ratio tests come down to at their usual error rates.
    """
    if running == 0:
        return StopReason.ALL_DONE
    if tally.leader is None:
        return None
    if tally.lead > running * largest_weight:
        return StopReason.UNCATCHABLE
    if tally.lead >= margin:
        return StopReason.MARGIN
    return None
