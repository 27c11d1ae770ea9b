"""Figures of a benchmark: pass@1, pass@k and maj@k with their intervals."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tools.benchmark.question import Verdict
from tools.shared.intervals import Interval, interval, resamples

_Z = 1.959964  # standard deviations that hold 95% of a normal distribution


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of `questions` questions with at least `samples` samples each; shares of 1, each with its interval.

    `passes` has pass@k for the powers of two up to `samples`, and for that. `majority` is None where nothing is voted.
    """

    questions: int
    samples: int
    passes: Mapping[int, Interval]
    majority: Interval | None


def score(verdicts: Sequence[Verdict]) -> Score:
    """The figures of one or more verdicts.

    The intervals hold 95%, from a bootstrap over questions, as samples of one question are no independent evidence.
    Where all questions agree that has no width, and the interval is Wilson's (1927) for as many questions.
    """
    grouped: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in sorted(verdicts, key=lambda verdict: (verdict.question, verdict.index)):
        grouped[verdict.question].append(verdict)
    groups = list(grouped.values())
    samples = min(map(len, groups))
    sizes = sorted({samples, *(2**power for power in range(samples.bit_length()))})
    passes = {k: _mean([pass_at_k(len(group), _right(group), k) for group in groups]) for k in sizes}
    voted = any(verdict.grade.answer is not None for verdict in verdicts)
    return Score(len(groups), samples, passes, _mean([majority(group) for group in groups]) if voted else None)


def pass_at_k(drawn: int, right: int, k: int) -> float:
    """The chance that of k samples, taken at random from those drawn, one is right.

    The unbiased estimator of Chen et al. (2021): 1 - C(n - c, k) / C(n, k). Raises ValueError for more than were drawn.
    """
    if not 1 <= k <= drawn:
        raise ValueError(f"{k} of {drawn} samples")
    return 1.0 - math.comb(drawn - right, k) / math.comb(drawn, k)


def majority(verdicts: Sequence[Verdict]) -> float:
    """Whether the answer with the most votes is right: 1 or 0, and where several lead, the share of them that is.

    A sample without an answer has no vote; 0 where there is none.
    """
    votes: dict[str, list[bool]] = defaultdict(list)
    for verdict in verdicts:
        if verdict.grade.answer is not None:
            votes[verdict.grade.answer].append(verdict.grade.right)
    most = max(map(len, votes.values()), default=0)
    leaders = [rights for rights in votes.values() if len(rights) == most]
    return sum(rights[0] for rights in leaders) / len(leaders) if leaders else 0.0


def wilson(share: float, count: int) -> Interval:
    """A share of `count` cases with Wilson's 95% interval."""
    spread = _Z**2 / count
    centre = (share + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    return Interval(share, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))


def _right(verdicts: Sequence[Verdict]) -> int:
    return sum(verdict.grade.right for verdict in verdicts)


def _mean(values: Sequence[float]) -> Interval:
    if len(set(values)) == 1:
        return wilson(values[0], len(values))
    return interval(resamples(len(values), seed=0) @ np.asarray(values, dtype=np.float64) / len(values))
