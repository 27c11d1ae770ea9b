"""Stopping rules published by others, each as its source defines it."""

from __future__ import annotations

import math
from collections import Counter
from functools import lru_cache

from agent.policy.settings import StoppingConfig
from agent.policy.state import GO_ON, Progress, Verdict
from agent.types import StopReason

AGREED = Verdict(StopReason.AGREED)

_BAYES_FACTOR = 10.0
_UNSEEN = 0.3  # votes that answers nobody has given count for
_DELTA = 0.1
_WINDOW = 5


def wait(progress: Progress, config: StoppingConfig) -> Verdict:
    """Self-consistency (Wang et al., 2022): wait for every sample."""
    return GO_ON


def margin(progress: Progress, config: StoppingConfig) -> Verdict:
    """A lead of 3: what ConSol's sequential probability ratio test (Lee et al., 2025) comes to as shipped."""
    return Verdict(StopReason.MARGIN) if progress.tally.lead >= config.margin else GO_ON


def beta(progress: Progress, config: StoppingConfig) -> Verdict:
    """Adaptive-Consistency (Aggarwal et al., 2023): P(share of the leader against the runner-up > 1/2) >= 0.95.

    The posterior of the share is Beta(v1 + 1, v2 + 1).
    """
    first, second, *_ = [*progress.counts, 0, 0]
    return AGREED if first and _above_half(first, second) >= config.confidence else GO_ON


def window(progress: Progress, config: StoppingConfig) -> Verdict:
    """Early-Stopping Self-Consistency (Li et al., 2024): stop at a unanimous window of 5 answers, side by side."""
    voted = progress.voted
    whole = len(voted) - len(voted) % _WINDOW
    unanimous = any(len(set(voted[start : start + _WINDOW])) == 1 for start in range(0, whole, _WINDOW))
    return AGREED if unanimous else GO_ON


def bayes_factor(progress: Progress, config: StoppingConfig) -> Verdict:
    """Best-of-Infinity (Komiyama et al., 2025): C * P(mode) / (1 - P(mode)) >= 10 for C answers.

    P(mode) is the chance that the leader is the most frequent answer, under Dirichlet(votes + 1) with a cell of 0.3
    votes for unseen answers, which is counted in C.
    """
    counts = progress.counts
    if not counts:
        return GO_ON
    mode = _leader_is_mode(counts)
    return AGREED if (len(counts) + 1) * mode >= _BAYES_FACTOR * (1 - mode) else GO_ON


def certified(progress: Progress, config: StoppingConfig) -> Verdict:
    """Martingale Majority Certificate (Cordero-Encinar and Duncan, 2025) at error 0.1.

    Two e-processes must reach 1 / 0.1: the leader against the runner-up, and against all the others together. Each is
    the likelihood ratio to a fair coin, mixed over Beta(2, 1/4).
    """
    first, second, *others = [*progress.counts, 0, 0]
    certain = min(_e_value(first, second), _e_value(first, sum(others))) >= 1 / _DELTA
    return AGREED if certain else GO_ON


def agree(progress: Progress, config: StoppingConfig) -> Verdict:
    """The AIMO-3 base notebook: 4 votes for one answer."""
    return AGREED if max(progress.counts, default=0) >= config.votes else GO_ON


def aimo2_second(progress: Progress, config: StoppingConfig) -> Verdict:
    """AIMO-2's second place (imagination-research): 4 of 4, 4 of the last 5, 5 of the last 7, 6 of the last 9."""
    voted = progress.voted
    for needed, of in ((4, 4), (4, 5), (5, 7), (6, 9)):
        if len(voted) >= of and max(Counter(voted[-of:]).values()) >= needed:
            return AGREED
    return GO_ON


def nemoskills_stop(progress: Progress, config: StoppingConfig) -> Verdict:
    """AIMO-2's winner (NVIDIA NemoSkills): 10 of 12 samples have ended, or 4 of the first 5 answers agree."""
    ended = len(progress.answers)
    early = max(Counter(progress.voted[:5]).values(), default=0)
    enough = 12 * ended >= 10 * (ended + progress.running)
    return AGREED if enough or early >= 4 else GO_ON


def hopeless(progress: Progress, config: StoppingConfig) -> Verdict:
    """AIMO-2's 11th place: besides a lead of 3, 6 distinct answers among 8 or more, or 5 junk among 5 to 7."""
    answers = progress.answers
    junk = len(answers) - len(progress.voted)
    if (len(progress.voted) >= 8 and len(progress.counts) >= 6) or (len(answers) <= 7 and junk >= 5):
        return Verdict(StopReason.SCATTERED)
    return margin(progress, config)


@lru_cache(maxsize=4_096)
def _above_half(first: int, second: int) -> float:
    """P(x > 1/2) for x ~ Beta(first + 1, second + 1): a tail of the binomial distribution of n = first + second + 1."""
    n = first + second + 1
    tail = sum(math.comb(n, k) for k in range(first + 1))
    return float(tail / 2**n)


@lru_cache(maxsize=65_536)
def _leader_is_mode(counts: tuple[int, ...]) -> float:
    """P(the first share is the largest) under Dirichlet(counts + 1, unseen + 1), by its gamma variables.

    The integral over the leader's gamma density of the product of the others' distribution functions, on a grid.
    """
    import numpy as np  # here, as reading a configuration imports the rules

    step = 0.02
    grid = np.arange(step / 2, 4 * max(counts) + 30, step)
    shapes = [count + 1 for count in counts] + [_UNSEEN + 1]
    densities = [np.exp((shape - 1) * np.log(grid) - grid - math.lgamma(shape)) * step for shape in shapes]
    below = [np.cumsum(density) - density / 2 for density in densities[1:]]
    return float(min(1.0, np.sum(densities[0] * np.prod(below, axis=0))))


@lru_cache(maxsize=4_096)
def _e_value(first: int, second: int) -> float:
    """2^n B(first + 2, second + 1/4) / B(2, 1/4)."""
    log_beta = math.lgamma(first + 2) + math.lgamma(second + 0.25) - math.lgamma(first + second + 2.25)
    prior = math.lgamma(2) + math.lgamma(0.25) - math.lgamma(2.25)
    return math.exp((first + second) * math.log(2) + log_beta - prior)
