"""Evaluate stopping rules one problem at a time: accuracy, and wall time relative to waiting for every lane."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.console import Console

from tools.replay.bounds.offline import accuracy_curve
from tools.replay.policies import DEFAULT_STOP, WAIT
from tools.replay.pool import run_jobs
from tools.replay.recordings import Recording
from tools.replay.run import Setting, play_problem, replay_config
from tools.shared.intervals import Floats, Interval, Ratio, interval, mean_ratio, resamples
from tools.shared.power import Power, paired_power

REFERENCE = DEFAULT_STOP  # the rule from which the gap to the oracle is measured
ORACLE = "oracle"
SEEN_LOSS = 0.01
"""The difference in accuracy for which it is said how many problems show it."""


@dataclass(frozen=True, slots=True)
class _Job:
    """All draws of some problems of one recording, under all policies."""

    recording: Recording
    policies: tuple[str, ...]
    setting: Setting
    indexes: tuple[int, ...]
    repeats: int


@dataclass(frozen=True, slots=True)
class _Sums:
    """Right answers and seconds, summed over the draws of one problem."""

    index: int
    right: float
    seconds: float


@dataclass(frozen=True, slots=True)
class StoppingResult:
    """The result of a stopping evaluation: `right` and `seconds` by policy, then recording, then problem."""

    recordings: tuple[str, ...]
    policies: tuple[str, ...]
    right: Mapping[str, Sequence[Floats]]
    seconds: Mapping[str, Sequence[Floats]]
    draws: Sequence[Floats]
    weights: Floats

    def accuracy(self, policy: str, place: int | None = None) -> Interval:
        """Return the share of right answers, on one recording or as the mean over all."""
        return interval(self._accuracy(policy, place))

    def loss(self, policy: str, place: int | None = None) -> Interval:
        """Return the accuracy minus that of waiting for all."""
        return interval(self._accuracy(policy, place) - self._accuracy(WAIT, place))

    def shares(self, policy: str, place: int) -> Floats:
        """Return the share of right answers of each problem on one recording, 0 for one that is not in it."""
        return np.asarray(self.right[policy][place] / np.maximum(self.draws[place], 1e-12), dtype=np.float64)

    def power(self, policy: str) -> Power | None:
        """Return what the comparison of the accuracy with that of waiting for all can show; None for one problem."""
        changes = np.array([self.shares(policy, n) - self.shares(WAIT, n) for n in self._places(None)])
        played = np.array([draws > 0 for draws in self.draws]).sum(axis=0)
        return paired_power((changes.sum(axis=0)[played > 0] / played[played > 0]).tolist())

    def wall(self, policy: str, place: int | None = None) -> Interval:
        """Return the wall time summed over problems, relative to waiting for all."""
        return interval(self._wall(policy, place))

    def gap_closed(self, policy: str, place: int | None = None) -> Interval:
        """Return the share of the gap in wall time between margin-3 and the oracle that the policy closes."""
        reference, best = self._wall(REFERENCE, place), self._wall(ORACLE, place)
        return interval((reference - self._wall(policy, place)) / np.maximum(reference - best, 1e-9))

    def _accuracy(self, policy: str, place: int | None) -> Floats:
        return mean_ratio([Ratio(self.right[policy][n], self.draws[n]) for n in self._places(place)], self.weights)

    def _wall(self, policy: str, place: int | None) -> Floats:
        ratios = [Ratio(self.seconds[policy][n], self.seconds[WAIT][n]) for n in self._places(place)]
        return mean_ratio(ratios, self.weights)

    def _places(self, place: int | None) -> Sequence[int]:
        return range(len(self.recordings)) if place is None else [place]


def replay_stopping(
    recordings: Sequence[Recording],
    policies: Sequence[str],
    setting: Setting,
    *,
    repeats: int,
    processes: int | None,
    ray: bool,
    console: Console,
) -> StoppingResult:
    """Play each problem `repeats` times, each time with the same samples for every policy."""
    names = tuple(dict.fromkeys([WAIT, REFERENCE, *policies]))
    jobs = []
    for recording in recordings:
        indexes = tuple(range(len(recording.problems)))
        jobs += [_Job(recording, names, setting, indexes[n : n + 5], repeats) for n in range(0, len(indexes), 5)]
    done = run_jobs(_play, jobs, processes=processes, ray=ray, console=console)
    ids = sorted({recorded.problem.id for recording in recordings for recorded in recording.problems})
    place = {id_: n for n, id_ in enumerate(ids)}
    which = {recording.name: n for n, recording in enumerate(recordings)}
    shape = (len(recordings), len(ids))
    right = {policy: np.zeros(shape) for policy in (*names, ORACLE)}
    seconds = {policy: np.zeros(shape) for policy in (*names, ORACLE)}
    draws = np.zeros(shape)
    for job, results in zip(jobs, done, strict=True):
        row = which[job.recording.name]
        for policy, stops in results.items():
            for sums in stops:
                column = place[job.recording.problems[sums.index].problem.id]
                right[policy][row, column] += sums.right
                seconds[policy][row, column] += sums.seconds
                draws[row, column] = repeats
    weights = resamples(len(ids), setting.seed)
    return StoppingResult(tuple(which), (*names, ORACLE), _rows(right), _rows(seconds), list(draws), weights)


def _rows(by_policy: Mapping[str, Floats]) -> dict[str, list[Floats]]:
    return {policy: list(rows) for policy, rows in by_policy.items()}


def _play(job: _Job) -> dict[str, list[_Sums]]:
    configs = {policy: replay_config(policy, job.recording, job.setting) for policy in job.policies}
    results: dict[str, list[_Sums]] = {policy: [] for policy in (*job.policies, ORACLE)}
    for index in job.indexes:
        recorded = job.recording.problems[index]
        rng = random.Random(f"{job.setting.seed}/{job.recording.name}/{recorded.problem.id}")
        right = dict.fromkeys(results, 0.0)
        seconds = dict.fromkeys(results, 0.0)
        for _ in range(job.repeats):
            drawn = rng.sample(recorded.lanes, job.setting.samples)
            for policy, config in configs.items():
                outcome, samples = play_problem(config, job.recording, job.setting, index, drawn)
                right[policy] += outcome.correct
                seconds[policy] += outcome.seconds
                if policy == WAIT:
                    right[ORACLE] += outcome.correct
                    seconds[ORACLE] += accuracy_curve(index, recorded.problem.answer, samples).settled
        for policy in results:
            results[policy].append(_Sums(index, right[policy], seconds[policy]))
    return results
