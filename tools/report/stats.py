"""The statistics of a report: maj@k, the projected score, paired differences of two runs.

Every interval is the middle 95% of a bootstrap over problems, since samples of one problem are no independent evidence.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

import numpy as np

from agent.config import Config
from agent.metrics import METRICS, ClosedProblem, Metric
from agent.policy.voting import Ballot, ballot, count_ballots
from agent.types import Sample
from tools.report.data import ProblemRecord, ReportedRun, VoteStatus
from tools.shared.intervals import Interval, Ratio, interval, resamples
from tools.shared.power import paired_power, sampling_noise

MAX_SUBSETS = 120
"""Subsets of a problem's samples that are voted on for one size: all of them, or so many drawn at random."""
SEEN_DIFFERENCE = 0.05
"""The difference for which a comparison says what it takes to see it: 2.5 of 50 problems."""
_SEED = 0
_SIZES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """The share of problems that a vote of `samples` samples gets right."""

    samples: int
    accuracy: Interval


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric of a run: its mean over `problems`."""

    metric: Metric
    mean: Interval
    problems: int

    @property
    def text(self) -> str:
        """The mean with its interval."""
        value, low, high = (self.metric.text(number) for number in (self.mean.value, self.mean.low, self.mean.high))
        return f"{value} ({low} to {high})"


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric on the problems that two runs share: the mean of each, and of the second less the first."""

    metric: Metric
    first: float
    second: float
    change: Interval
    problems: int

    @property
    def interval(self) -> str:
        """The ends of the interval of the change."""
        low, high = (self.metric.text(number, difference=True) for number in (self.change.low, self.change.high))
        return f"{low} to {high}"

    @property
    def text(self) -> str:
        """The change with its interval."""
        return f"{self.metric.text(self.change.value, difference=True)} ({self.interval})"


def majority_curve(run: ReportedRun) -> list[CurvePoint]:
    """Accuracy of the vote against the number of samples.

    A problem's value at n is the share of subsets of n of its counted samples whose vote, by the run's own rule, is
    right; a problem with fewer samples than n gives the vote of all it has. The values at 1 are pass@1.
    Empty where no truth is known.
    """
    problems = known_problems(run)
    if not problems:
        return []
    ballots = [ballots_of(problem.counted, run.record.config) for problem in problems]
    rng = np.random.default_rng(_SEED)
    points = []
    for size in _curve_sizes(max(map(len, ballots))):
        shares = [
            right_share(cast, problem.problem.answer, size, rng)
            for problem, cast in zip(problems, ballots, strict=True)
        ]
        points.append(CurvePoint(size, mean_interval(shares)))
    return points


def ballots_of(samples: Sequence[Sample], config: Config) -> list[Ballot | None]:
    """Return each sample's vote by the voting rule of the run, None for one without an answer."""
    return [ballot(sample, config.voting, config.rules) for sample in samples]


def right_share(ballots: Sequence[Ballot | None], truth: int | None, size: int, rng: np.random.Generator) -> float:
    """The share of subsets of `size` samples (of all, where there are fewer) whose vote is `truth`."""
    size = min(size, len(ballots))
    rights = []
    for chosen in _subsets(len(ballots), size, rng):
        leader = count_ballots(cast for place in chosen if (cast := ballots[place]) is not None).leader
        rights.append(leader is not None and leader.answer == truth)
    return fmean(rights)


def known_problems(run: ReportedRun) -> list[ProblemRecord]:
    """The closed problems whose truth is known and that have a sample that counts: those of pass@1."""
    return [
        problem
        for problem in run.problems
        if problem.solution is not None and problem.problem.answer is not None and problem.counted
    ]


def projected_score(run: ReportedRun) -> Interval | None:
    """The score to expect on a full set: its size times the share of closed problems answered right, of known truth.

    The interval is that of the expectation, for problems like these; one run's score scatters around it besides.
    None where no truth is known.
    """
    told = [problem.closed.right for problem in run.problems if problem.closed is not None]
    rights = [float(right) for right in told if right is not None]
    if not rights:
        return None
    mean, count = mean_interval(rights), run.record.config.rules.problem_count
    return Interval(mean.value * count, mean.low * count, mean.high * count)


def mean_interval(values: Sequence[float]) -> Interval:
    """The mean of one value a problem."""
    ratio = Ratio(np.asarray(values, dtype=np.float64), np.ones(len(values)))
    return interval(ratio.at(resamples(len(values), _SEED)))


def run_figures(run: ReportedRun) -> list[Figure]:
    """Each metric that says something of the run's closed problems."""
    found = []
    for metric in METRICS:
        told = [_value(metric, problem, run) for problem in run.problems]
        values = [value for value in told if value is not None]
        if values:
            found.append(Figure(metric, mean_interval(values), len(values)))
    return found


def differences(first: ReportedRun, second: ReportedRun) -> list[Difference]:
    """Each metric, paired by the problems closed in both runs of which it says something in both."""
    pairs = common_problems(first, second)
    found = []
    for metric in METRICS:
        told = [(_value(metric, one, first), _value(metric, other, second)) for one, other in pairs]
        values = [(before, after) for before, after in told if before is not None and after is not None]
        if values:
            changes = mean_interval([after - before for before, after in values])
            befores, afters = zip(*values, strict=True)
            found.append(Difference(metric, fmean(befores), fmean(afters), changes, len(values)))
    return found


def power_sentences(first: ReportedRun, second: ReportedRun) -> list[str]:
    """What it takes to see a difference of SEEN_DIFFERENCE in the share right, and in pass@1, between such runs."""
    closed = [(one.closed, other.closed) for one, other in common_problems(first, second)]
    pairs = [(one, other) for one, other in closed if one and other and one.right is not None]
    drawn = [(_right_of(one), _right_of(other)) for one, other in pairs if one.attempts and other.attempts]
    shares = [other[0] / other[1] - one[0] / one[1] for one, other in drawn]
    noises = [sampling_noise(counts) for counts in zip(*drawn, strict=True)]
    noise = sum(each for each in noises if each is not None) if noises and None not in noises else None
    powers = {
        "the share right": paired_power([float(other.right or 0) - float(one.right or 0) for one, other in pairs]),
        "pass@1": paired_power(shares, noise),
    }
    difference = f"{SEEN_DIFFERENCE:g} in"
    return [power.sentence(f"{difference} {name}", SEEN_DIFFERENCE) for name, power in powers.items() if power]


def common_problems(first: ReportedRun, second: ReportedRun) -> list[tuple[ProblemRecord, ProblemRecord]]:
    """The problems with the same id and text that are closed in both runs."""
    others = {problem.problem.id: problem for problem in second.problems if problem.solution}
    return [
        (problem, others[problem.problem.id])
        for problem in first.problems
        if problem.solution
        and problem.problem.id in others
        and others[problem.problem.id].problem.text == problem.problem.text
    ]


def confidence_auroc(run: ReportedRun) -> float | None:
    """Return the AUROC of confidence: the probability that a right vote has the higher mean log-probability.

    It is the area under the ROC curve, 0.5 where confidence tells nothing; None where either kind is missing.
    """
    sure: dict[VoteStatus, list[float]] = {VoteStatus.RIGHT: [], VoteStatus.WRONG: []}
    for problem, sample in run.samples:
        if sample.mean_logprob is not None:
            sure.setdefault(problem.verdict(sample), []).append(sample.mean_logprob)
    right, wrong = np.asarray(sure[VoteStatus.RIGHT]), np.sort(np.asarray(sure[VoteStatus.WRONG]))
    if not right.size or not wrong.size:
        return None
    below = np.searchsorted(wrong, right, "left") + np.searchsorted(wrong, right, "right")
    return float(below.sum() / (2 * right.size * wrong.size))


def nice_edges(values: Sequence[float], bins: int) -> list[float]:
    """Edges of about `bins` bins that hold all values, at multiples of 1, 2 or 5 times a power of ten."""
    low, high = min(values), max(values)
    raw = (high - low) / bins or max(abs(high), 1.0) / bins
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * (1 - 1e-9))
    first = math.floor(low / step)
    last = max(first + 1, math.ceil(high / step))
    return [round(place * step, 12) for place in range(first, last + 1)]


def bin_counts(values: Sequence[float], edges: Sequence[float]) -> list[int]:
    """Count the values in each bin; one on an edge is in the bin above, the last bin includes its upper edge."""
    counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
    return [int(count) for count in counts]


def _right_of(closed: ClosedProblem) -> tuple[int, int]:
    """How many attempts at a problem are right, and how many there are."""
    return sum(sample.answer == closed.problem.answer for sample in closed.attempts), len(closed.attempts)


def _value(metric: Metric, problem: ProblemRecord, run: ReportedRun) -> float | None:
    return metric.value(problem.closed, run.record.config) if problem.closed is not None else None


def _subsets(count: int, size: int, rng: np.random.Generator) -> Iterator[Sequence[int]]:
    if math.comb(count, size) <= MAX_SUBSETS:
        yield from combinations(range(count), size)
        return
    for _ in range(MAX_SUBSETS):
        yield rng.choice(count, size, replace=False).tolist()


def _curve_sizes(most: int) -> list[int]:
    return [*(size for size in _SIZES if size < most), most]
