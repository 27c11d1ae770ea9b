"""The state of a problem -> stop or continue, and why, by the configured rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent.policy import published
from agent.policy.patience import patience
from agent.policy.settings import StoppingConfig
from agent.policy.state import Progress, Verdict
from agent.types import StopReason

WAIT_FOR_ALL = "wait-for-all"

STOPPING_RULES: Mapping[str, Callable[[Progress, StoppingConfig], Verdict]] = {
    "patience": patience,
    WAIT_FOR_ALL: published.wait,
    "uncatchable": published.wait,
    "margin": published.margin,
    "beta": published.beta,
    "window": published.window,
    "bayes-factor": published.bayes_factor,
    "certified": published.certified,
    "agree": published.agree,
    "aimo2-second": published.aimo2_second,
    "nemoskills": published.nemoskills_stop,
    "hopeless": published.hopeless,
}
"""The rules by their names, which configuration, replay and documents share.

A rule is applied whenever a sample has ended and at the moment that it named, while at least one lane runs.
"""


def judge(progress: Progress, config: StoppingConfig) -> Verdict:
    """Whether the problem can be closed now.

    Whatever the rule (but for "wait-for-all"), a leader that cannot be caught ends the problem: even if every running
    lane voted for the runner-up, the leader would win, so nothing is lost.
    """
    if progress.running == 0:
        return Verdict(StopReason.ALL_DONE)
    tally = progress.tally
    safe = tally.leader is not None and tally.lead > progress.running * progress.largest_weight
    if safe and config.rule != WAIT_FOR_ALL:
        return Verdict(StopReason.UNCATCHABLE)
    return STOPPING_RULES[config.rule](progress, config)
