"""Full runs under several policies: how many answers are right, and at what cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import numpy as np
from rich.console import Console

from tools.replay.bounds.offline import AccuracyCurve, accuracy_curve, knapsack, oracle
from tools.replay.bounds.online import OnlineBounds, online_bounds
from tools.replay.pool import run_jobs
from tools.replay.recordings import Recording
from tools.replay.run import NO_LIMIT, ProblemOutcome, Setting, play_run, replay_config
from tools.shared.intervals import Floats, Interval, Ratio, interval, mean_ratio, resamples
from tools.shared.power import Power, paired_power, sampling_noise

_CHUNK = 10  # repeats per job: even, so that the two runs of a pair stay together


@dataclass(frozen=True, slots=True)
class _Job:
    """Some repeats of one policy on one recording; the policy None stands for the bounds."""

    recording: Recording
    policy: str | None
    setting: Setting
    repeats: range


ONLINE_BOUNDS = {
    "online, one price": "fluid",
    "online, one price, other half": "fluid_half",
    "online, fitted": "family",
    "online, fitted, other half": "family_half",
}
"""The names of the online bounds in tables, with their fields."""

_Runs = list[tuple[ProblemOutcome, ...]]
_Curves = list[tuple[AccuracyCurve, ...]]


@dataclass(frozen=True, slots=True)
class PolicyScore:
    """The score of one policy on one recording: means over runs; `right` is by problem."""

    right: Ratio
    seconds: float
    tokens: float
    cut: float
    starved: float
    two_runs: float


@dataclass(frozen=True, slots=True)
class Bounds:
    """Upper bounds on the mean number of right answers on one recording; `online` is None where not asked for."""

    oracle: float
    knapsack: float
    online: OnlineBounds | None = None


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """The result of replayed runs: a score for each policy and recording, bounds for each recording."""

    setting: Setting
    recordings: tuple[str, ...]
    scores: Mapping[str, Mapping[str, PolicyScore]]
    bounds: Mapping[str, Bounds]
    weights: Floats
    repeats: int

    def correct(self, policy: str, recording: str | None = None) -> Interval:
        """Return the mean number of right answers of a run, on one recording or as the mean over all of them."""
        return interval(self._correct(policy, recording))

    def difference(self, policy: str, other: str, recording: str | None = None) -> Interval:
        """Return how many more right answers `policy` gives than `other`, over the same runs."""
        return interval(self._correct(policy, recording) - self._correct(other, recording))

    def power(self, policy: str, other: str) -> Power | None:
        """Return what a comparison of two policies by their shares of right answers can show.

        Its noise, which more runs take away, is that of two policies that play different runs: as both play the same,
        it is less, and more runs are needed than it says.
        """
        shares = [
            [score.right.above / np.maximum(score.right.below, 1e-12) for score in self.scores[name].values()]
            for name in (policy, other)
        ]
        played = np.array([score.right.below > 0 for score in self.scores[policy].values()])
        counts = played.sum(axis=0)
        sums = ((np.array(shares[0]) - np.array(shares[1])) * played).sum(axis=0)
        differences = [float(total / count) for total, count in zip(sums, counts, strict=True) if count]
        return paired_power(differences, self._run_noise(policy, other))

    def _run_noise(self, policy: str, other: str) -> float | None:
        """The noise of `power`; None where a problem was played once."""
        pairs = list(zip(self.scores[policy].values(), self.scores[other].values(), strict=True))
        noise = []
        for place in range(len(pairs[0][0].right.below)):
            played = [(one.right, two.right) for one, two in pairs if one.right.below[place]]
            counts = [[(int(each.above[place]), int(each.below[place])) for each in both] for both in played]
            known = [sampling_noise([count]) for both in counts for count in both]
            if any(each is None for each in known):
                return None
            if played:
                noise.append(sum(each for each in known if each is not None) / len(played) ** 2)
        return fmean(noise) if noise else None

    def mean(self, policy: str, what: str) -> float:
        """Return the mean over recordings of one figure of the scores."""
        return float(np.mean([getattr(score, what) for score in self.scores[policy].values()]))

    def bound_values(self) -> dict[str, list[float]]:
        """Each bound that was worked out, by its name in tables: its values on the recordings, in their order."""
        known = [self.bounds[name] for name in self.recordings] if self.bounds else []
        values = {name: [float(getattr(each, name)) for each in known] for name in ("knapsack", "oracle") if known}
        reachable = [each.online for each in known if each.online is not None]
        for name, key in ONLINE_BOUNDS.items() if reachable else ():
            values[name] = [float(getattr(each, key)) for each in reachable]
        return values

    def _correct(self, policy: str, recording: str | None) -> Floats:
        scores = self.scores[policy]
        chosen = scores.values() if recording is None else [scores[recording]]
        return self.setting.problems * mean_ratio([score.right for score in chosen], self.weights)


def replay_runs(
    recordings: Sequence[Recording],
    policies: Sequence[str],
    setting: Setting,
    *,
    repeats: int,
    bounds: bool,
    online: bool = False,
    processes: int | None,
    ray: bool,
    console: Console,
) -> ReplayResult:
    """Play `repeats` runs of each recording under each policy, the same runs for every policy.

    The `bounds` are worked out on these runs too, and with them those of policies that are `online` if that is asked.
    """
    how: dict[str, Any] = {"processes": processes, "ray": ray, "console": console}
    wanted: list[str | None] = [*policies, *([None] if bounds else [])]
    pairs = [(recording, policy) for recording in recordings for policy in wanted]
    chunks = [range(start, min(start + _CHUNK, repeats)) for start in range(0, repeats, _CHUNK)]
    jobs = [_Job(recording, policy, setting, chunk) for recording, policy in pairs for chunk in chunks]
    done = iter(run_jobs(_play, jobs, **how))
    reachable = run_jobs(_online, [(each, setting) for each in recordings], **how) if bounds and online else []
    ids = sorted({recorded.problem.id for recording in recordings for recorded in recording.problems})
    scores: dict[str, dict[str, PolicyScore]] = {policy: {} for policy in policies}
    limits: dict[str, Bounds] = {}
    for recording, policy in pairs:
        runs, curves = zip(*(next(done) for _ in chunks), strict=True)
        if policy is None:
            known = reachable[len(limits)] if reachable else None
            limits[recording.name] = _bounds([run for chunk in curves for run in chunk], setting, known)
        else:
            scores[policy][recording.name] = _score([run for chunk in runs for run in chunk], recording, ids)
    names = tuple(recording.name for recording in recordings)
    return ReplayResult(setting, names, scores, limits, resamples(len(ids), setting.seed), repeats)


def _play(job: _Job) -> tuple[_Runs, _Curves]:
    if job.policy is not None:
        config = replay_config(job.policy, job.recording, job.setting)
        return [tuple(play_run(config, job.recording, job.setting, repeat)[0]) for repeat in job.repeats], []
    endless = replace(job.setting, limit=NO_LIMIT)
    config = replay_config("wait-for-all", job.recording, endless)
    curves = []
    for repeat in job.repeats:
        outcomes, samples = play_run(config, job.recording, endless, repeat)
        pairs = zip(outcomes, samples, strict=True)
        truths = [problem.problem.answer for problem in job.recording.problems]
        curves.append(tuple(accuracy_curve(p.index, truths[p.index], drawn) for p, drawn in pairs))
    return [], curves


def _online(job: tuple[Recording, Setting]) -> OnlineBounds:
    return online_bounds(*job)


def _bounds(runs: _Curves, setting: Setting, online: OnlineBounds | None) -> Bounds:
    best = [oracle(run, setting.limit) for run in runs]
    split = knapsack([c for run in runs for c in run], setting.limit, setting.problems)
    return Bounds(float(np.mean(best)), split, online)


def _score(runs: _Runs, recording: Recording, ids: Sequence[str]) -> PolicyScore:
    place = {id_: n for n, id_ in enumerate(ids)}
    places = [place[recorded.problem.id] for recorded in recording.problems]
    right, played = np.zeros(len(ids)), np.zeros(len(ids))
    for run in runs:
        for problem in run:
            right[places[problem.index]] += problem.correct
            played[places[problem.index]] += 1
    count = len(runs)
    return PolicyScore(
        right=Ratio(right, played),
        seconds=sum(p.seconds for run in runs for p in run) / count,
        tokens=sum(p.tokens for run in runs for p in run) / count,
        cut=sum(p.cut for run in runs for p in run) / count,
        starved=sum(p.starved for run in runs for p in run) / count,
        two_runs=_two_runs(runs),
    )


def _two_runs(runs: _Runs) -> float:
    """Return AIMO-3's score of two runs over the same problems: 1 for each that both solve, 1/2 if only one does.

    The mean over pairs of runs; an unpaired last run is ignored, or is paired with itself if it is the only one.
    """
    pairs = list(zip(runs[::2], runs[1::2], strict=False)) or [(runs[0], runs[0])]
    scores = []
    for first, second in pairs:
        # A problem that is drawn twice is matched by the order of its occurrences.
        rights = [sorted((p.index, p.correct) for p in run) for run in (first, second)]
        scores.append(sum((a + b) / 2 for (_, a), (_, b) in zip(*rights, strict=True)))
    return float(np.mean(scores))
