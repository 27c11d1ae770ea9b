"""Whole runs under several policies: how many answers are right, and what that cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from rich.console import Console

from tools.replay.bounds import Course, clairvoyant, course, knapsack
from tools.replay.pool import run_jobs
from tools.replay.recordings import Recording
from tools.replay.run import NO_LIMIT, Played, Setting, play_run, replay_config
from tools.shared.intervals import Floats, Interval, Ratio, interval, mean_ratio, resamples

_CHUNK = 10  # repeats in a job: even, so that the two runs of a pair stay together


@dataclass(frozen=True, slots=True)
class Job:
    """Some repeats of one policy on one recording; the policy None stands for the bounds."""

    recording: Recording
    policy: str | None
    setting: Setting
    repeats: range


Runs = list[tuple[Played, ...]]
Courses = list[tuple[Course, ...]]


@dataclass(frozen=True, slots=True)
class Score:
    """What one policy came to on one recording, as means over runs; `right` is by problem."""

    right: Ratio
    seconds: float
    tokens: float
    cut: float
    starved: float
    two_runs: float


@dataclass(frozen=True, slots=True)
class Bounds:
    """Mean right answers that cannot be beaten on one recording."""

    clairvoyant: float
    knapsack: float


@dataclass(frozen=True, slots=True)
class Whole:
    """The results: a score for each policy and recording, the bounds for each recording."""

    setting: Setting
    recordings: tuple[str, ...]
    scores: Mapping[str, Mapping[str, Score]]
    bounds: Mapping[str, Bounds]
    weights: Floats
    repeats: int

    def correct(self, policy: str, recording: str | None = None) -> Interval:
        """Mean right answers of a run, on one recording or as the mean over all of them."""
        return interval(self._correct(policy, recording))

    def difference(self, policy: str, other: str, recording: str | None = None) -> Interval:
        """How many more right answers the first gives than the other, over the same runs."""
        return interval(self._correct(policy, recording) - self._correct(other, recording))

    def mean(self, policy: str, what: str) -> float:
        """The mean over recordings of one figure of the scores."""
        return float(np.mean([getattr(score, what) for score in self.scores[policy].values()]))

    def _correct(self, policy: str, recording: str | None) -> Floats:
        scores = self.scores[policy]
        chosen = scores.values() if recording is None else [scores[recording]]
        return self.setting.problems * mean_ratio([score.right for score in chosen], self.weights)


def replay_whole(
    recordings: Sequence[Recording],
    policies: Sequence[str],
    setting: Setting,
    *,
    repeats: int,
    bounds: bool,
    processes: int | None,
    ray: bool,
    console: Console,
) -> Whole:
    """Play `repeats` runs of each recording under each policy; the same runs for every policy."""
    wanted: list[str | None] = [*policies, *([None] if bounds else [])]
    pairs = [(recording, policy) for recording in recordings for policy in wanted]
    chunks = [range(start, min(start + _CHUNK, repeats)) for start in range(0, repeats, _CHUNK)]
    jobs = [Job(recording, policy, setting, chunk) for recording, policy in pairs for chunk in chunks]
    done = iter(run_jobs(_play, jobs, processes=processes, ray=ray, console=console))
    ids = sorted({recorded.problem.id for recording in recordings for recorded in recording.problems})
    scores: dict[str, dict[str, Score]] = {policy: {} for policy in policies}
    limits: dict[str, Bounds] = {}
    for recording, policy in pairs:
        runs, courses = zip(*(next(done) for _ in chunks), strict=True)
        if policy is None:
            limits[recording.name] = _bounds([run for chunk in courses for run in chunk], setting)
        else:
            scores[policy][recording.name] = _score([run for chunk in runs for run in chunk], recording, ids)
    names = tuple(recording.name for recording in recordings)
    return Whole(setting, names, scores, limits, resamples(len(ids), setting.seed), repeats)


def _play(job: Job) -> tuple[Runs, Courses]:
    if job.policy is not None:
        config = replay_config(job.policy, job.recording, job.setting)
        return [tuple(play_run(config, job.recording, job.setting, repeat)[0]) for repeat in job.repeats], []
    endless = replace(job.setting, limit=NO_LIMIT)
    config = replay_config("wait-for-all", job.recording, endless)
    courses = []
    for repeat in job.repeats:
        played, samples = play_run(config, job.recording, endless, repeat)
        truths = [job.recording.problems[p.index].problem.answer for p in played]
        courses.append(
            tuple(course(p.index, truth, drawn) for p, truth, drawn in zip(played, truths, samples, strict=True))
        )
    return [], courses


def _bounds(runs: Courses, setting: Setting) -> Bounds:
    best = [clairvoyant(run, setting.limit) for run in runs]
    split = knapsack([c for run in runs for c in run], setting.limit, setting.problems)
    return Bounds(float(np.mean(best)), split)


def _score(runs: Runs, recording: Recording, ids: Sequence[str]) -> Score:
    place = {id_: n for n, id_ in enumerate(ids)}
    places = [place[recorded.problem.id] for recorded in recording.problems]
    right, played = np.zeros(len(ids)), np.zeros(len(ids))
    for run in runs:
        for problem in run:
            right[places[problem.index]] += problem.correct
            played[places[problem.index]] += 1
    count = len(runs)
    return Score(
        right=Ratio(right, played),
        seconds=sum(p.seconds for run in runs for p in run) / count,
        tokens=sum(p.tokens for run in runs for p in run) / count,
        cut=sum(p.cut for run in runs for p in run) / count,
        starved=sum(p.starved for run in runs for p in run) / count,
        two_runs=_two_runs(runs),
    )


def _two_runs(runs: Runs) -> float:
    """AIMO-3's score of two runs over the same problems: 1 for each that both solve, 1/2 for each that one solves.

    The mean over pairs; a last run without a partner is left out, and counts with itself if it is the only one.
    """
    pairs = list(zip(runs[::2], runs[1::2], strict=False)) or [(runs[0], runs[0])]
    scores = []
    for first, second in pairs:
        # A problem that is drawn twice is matched with itself by its order among its likes.
        rights = [sorted((p.index, p.correct) for p in run) for run in (first, second)]
        scores.append(sum((a + b) / 2 for (_, a), (_, b) in zip(*rights, strict=True)))
    return float(np.mean(scores))
