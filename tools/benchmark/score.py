"""The figures of a benchmark: pass@1, pass@k and maj@k with their intervals."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from agent.metrics import pass_at_k, plain_majority
from tools.benchmark.question import GradedCompletion
from tools.shared.intervals import Interval, interval, resamples, wilson
from tools.shared.power import Power, paired_power, sampling_noise


@dataclass(frozen=True, slots=True)
class Score:
    """The figures of `questions` questions with at least `samples` samples each; shares of 1, each with its interval.

    `passes` has pass@k for the powers of two up to `samples`, and for that. `majority` is None where nothing is voted.
    """

    questions: int
    samples: int
    passes: Mapping[int, Interval]
    majority: Interval | None


def score(verdicts: Sequence[GradedCompletion]) -> Score:
    """Compute the figures of one or more graded completions.

    The intervals hold 95%, from a bootstrap over questions, as samples of one question are no independent evidence.
    Where all questions agree that has no width, and the interval is Wilson's (1927) for as many questions.
    """
    grouped: dict[str, list[GradedCompletion]] = defaultdict(list)
    for verdict in sorted(verdicts, key=lambda verdict: (verdict.question, verdict.index)):
        grouped[verdict.question].append(verdict)
    groups = list(grouped.values())
    samples = min(map(len, groups))
    sizes = sorted({samples, *(2**power for power in range(samples.bit_length()))})
    passes = {k: _mean([pass_at_k(len(group), _right(group), k) for group in groups]) for k in sizes}
    voted = any(verdict.grade.answer is not None for verdict in verdicts)
    return Score(len(groups), samples, passes, _mean([majority(group) for group in groups]) if voted else None)


def single_power(verdicts: Sequence[GradedCompletion]) -> Power | None:
    """What these questions and samples can show of a difference in pass@1 from a fixed figure; None for one alone."""
    counts: dict[str, tuple[int, int]] = {}
    for verdict in verdicts:
        right, drawn = counts.get(verdict.question, (0, 0))
        counts[verdict.question] = (right + verdict.grade.right, drawn + 1)
    shares = [right / drawn for right, drawn in counts.values()]
    return paired_power(shares, sampling_noise(list(counts.values())))


def majority(verdicts: Sequence[GradedCompletion]) -> float:
    """Whether the answer with the most votes is right, as `plain_majority` says; one without an answer has no vote."""
    votes: Counter[str] = Counter()
    rights: dict[str, bool] = {}
    for verdict in verdicts:
        if verdict.grade.answer is not None:
            votes[verdict.grade.answer] += 1
            rights.setdefault(verdict.grade.answer, verdict.grade.right)
    return plain_majority(votes, rights)


def _right(verdicts: Sequence[GradedCompletion]) -> int:
    return sum(verdict.grade.right for verdict in verdicts)


def _mean(values: Sequence[float]) -> Interval:
    if len(set(values)) == 1:
        return wilson(values[0], len(values))
    return interval(resamples(len(values), seed=0) @ np.asarray(values, dtype=np.float64) / len(values))
