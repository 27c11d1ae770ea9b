"""The state of a problem -> stop or go on, and why, by the configured rule."""

from __future__ import annotations

from collections.abc import Mapping

from agent.config import StoppingConfig, StoppingRule
from agent.policy import published
from agent.policy.patience import patience
from agent.policy.state import GO_ON, Progress, Verdict
from agent.types import StopReason

RULES: Mapping[StoppingRule, published.Rule] = {
    "patience": patience,
    "all": published.wait,
    "uncatchable": published.wait,
    "margin": published.margin,
    "beta": published.beta,
    "window": published.window,
    "bayes-factor": published.bayes_factor,
    "certified": published.certified,
    "agree": published.agree,
    "aimo2-second": published.aimo2_second,
    "nemoskills": published.nemoskills,
    "hopeless": published.hopeless,
}


def judge(progress: Progress, config: StoppingConfig) -> Verdict:
    """Whether the problem can be closed now.

    Whatever the rule (but for "all"), a leader that cannot be caught ends the problem: even if every running lane
    voted for the runner-up, the leader would win, so nothing is lost.
    """
    if progress.running == 0:
        return Verdict(StopReason.ALL_DONE)
    tally = progress.tally
    if tally.leader is None and config.rule not in ("nemoskills", "hopeless"):
        return GO_ON
    if config.rule != "all" and tally.leader and tally.lead > progress.running * progress.largest_weight:
        return Verdict(StopReason.UNCATCHABLE)
    return RULES[config.rule](progress, config)
