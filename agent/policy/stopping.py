"""The state of a problem -> stop or continue, and why, by the configured rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agent.policy import published
from agent.policy.priced import priced
from agent.policy.settings import StoppingConfig
from agent.policy.state import GO_ON, Progress, Verdict
from agent.types import StopReason

WAIT_FOR_ALL = "wait-for-all"


@dataclass(frozen=True, slots=True)
class StoppingRule:
    """When a problem is closed: the verdict, and the rule's key in references.bib, "" where nothing is to be cited."""

    verdict: Callable[[Progress, StoppingConfig], Verdict]
    source: str = ""


STOPPING_RULES: Mapping[str, StoppingRule] = {
    "price": StoppingRule(priced),
    WAIT_FOR_ALL: StoppingRule(published.wait, "wang2023selfconsistency"),
    "uncatchable": StoppingRule(published.wait, "wang2023selfconsistency"),
    "margin": StoppingRule(published.margin, "lee2025consol"),
    "beta": StoppingRule(published.beta, "aggarwal2023adaptive"),
    "window": StoppingRule(published.window, "li2024escape"),
    "bayes-factor": StoppingRule(published.bayes_factor, "komiyama2025bestofinfinity"),
    "certified": StoppingRule(published.certified, "cordero2025certified"),
    "agree": StoppingRule(published.agree),
    "aimo2-second": StoppingRule(published.aimo2_second),
    "nemoskills": StoppingRule(published.nemoskills_stop, "moshkov2025aimo2"),
    "hopeless": StoppingRule(published.hopeless),
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
    safe = tally.lead > progress.running * progress.largest_weight
    if safe and config.rule != WAIT_FOR_ALL:
        return Verdict(StopReason.UNCATCHABLE)
    verdict = STOPPING_RULES[config.rule].verdict(progress, config)
    return GO_ON if verdict.stop is None and verdict.until <= progress.elapsed else verdict
