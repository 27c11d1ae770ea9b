"""Runs of recorded samples as arrays: what can be seen of their votes, and when, at the speed of the hardware."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from agent.hardware.roofline import Hardware
from agent.types import Sample
from tools.replay.policies import WAIT
from tools.replay.recordings import Recording
from tools.replay.run import NO_LIMIT, Setting, draw_run, play_problem, replay_config
from tools.shared.intervals import Floats

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_NO_VOTE = -1


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """The problems of `runs` runs in their order, each with its lanes: arrays of (problem, lane), but for `truths`.

    `answers` are -1 where a lane has none; `tool_seconds` are those in which its code ran.
    """

    runs: int
    truths: Ints
    answers: Ints
    tokens: Floats
    tool_seconds: Floats

    @property
    def lanes(self) -> int:
        """How many lanes each problem has."""
        return int(self.tokens.shape[1])


@dataclass(frozen=True, slots=True)
class Votes:
    """The state of each problem once j of its lanes have ended: arrays of (problem, j), j from 0 to all of them.

    `times` are the seconds of these ends, 0 for j = 0. `lead` is that of the leader, `others` counts the votes for
    neither of the first two answers, `unopposed` says that all votes are for one. `safe` says that no more votes can
    change the answer, or none is to come. `first` is by problem: the seconds of the first vote, infinite without one.
    """

    times: Floats
    first: Floats
    lead: Ints
    others: Ints
    unopposed: Bools
    right: Bools
    safe: Bools


WholeSamples = Mapping[int, Sample]
"""Recorded lanes as the solver reads them if nobody stops them, by their identity."""


def draw_problems(recording: Recording, setting: Setting, runs: int, samples: WholeSamples) -> Draws:
    """Draw runs of a recording, the same that policies are played on, of lanes that were read before."""
    drawn = [each for repeat in range(runs) for each in draw_run(recording, setting, repeat)]
    lanes = [[samples[id(lane)] for lane in chosen] for *_, chosen in drawn]
    truths = [recording.problems[index].problem.answer for index, *_ in drawn]
    return Draws(
        runs,
        np.array([_NO_VOTE if truth is None else truth for truth in truths]),
        np.array([[_NO_VOTE if s.answer is None else s.answer for s in each] for each in lanes]),
        np.array([[float(s.tokens) for s in each] for each in lanes]),
        np.array([[sum(run.seconds for run in s.tool_runs) for s in each] for each in lanes]),
    )


def whole_samples(recording: Recording, setting: Setting) -> WholeSamples:
    """Read each lane of a recording as the solver does."""
    read: dict[int, Sample] = {}
    for index, recorded in enumerate(recording.problems):
        alone = replace(setting, samples=len(recorded.lanes), limit=NO_LIMIT)
        _, samples = play_problem(replay_config(WAIT, recording, alone), recording, alone, index, recorded.lanes)
        by_index = sorted(samples, key=lambda sample: sample.index)
        read.update((id(lane), sample) for lane, sample in zip(recorded.lanes, by_index, strict=True))
    return read


@lru_cache(maxsize=3)  # those of a recording and of its halves
def votes_by_lanes(draws: Draws, hardware: Hardware) -> Mapping[int, Votes]:
    """What is seen of the problems with each of some numbers of lanes."""
    return {lanes: seen_votes(draws, lanes, hardware) for lanes in _lane_counts(draws.lanes)}


def seen_votes(draws: Draws, lanes: int, hardware: Hardware) -> Votes:
    """What is seen if each problem starts its first `lanes` lanes and stops none."""
    ends = end_seconds(draws.tokens[:, :lanes], hardware) + draws.tool_seconds[:, :lanes]
    order = np.argsort(ends, axis=1, kind="stable")
    ends = np.take_along_axis(ends, order, axis=1)
    answers = np.take_along_axis(draws.answers[:, :lanes], order, axis=1)
    count = len(answers)
    rows = np.arange(count)
    cell = np.argmax(answers[:, :, None] == answers[:, None, :], axis=2)  # where the same answer stands first
    votes = np.zeros((count, lanes), np.int64)
    shape = (count, lanes + 1)
    lead, others = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    unopposed, right, safe = (np.zeros(shape, np.bool_) for _ in range(3))
    for ended in range(1, lanes + 1):
        votes[rows, cell[:, ended - 1]] += answers[:, ended - 1] != _NO_VOTE
        leader = np.argmax(votes, axis=1)  # a tie goes to the answer that came first
        ranked = np.sort(votes, axis=1)[:, ::-1]
        second = ranked[:, 1] if lanes > 1 else np.zeros(count, np.int64)
        lead[:, ended] = ranked[:, 0] - second
        others[:, ended] = votes.sum(axis=1) - ranked[:, 0] - second
        unopposed[:, ended] = (ranked[:, 0] > 0) & (second == 0)
        right[:, ended] = (ranked[:, 0] > 0) & (answers[rows, leader] == draws.truths)
        safe[:, ended] = lead[:, ended] > lanes - ended
    safe[:, lanes] = True
    voted = np.where(answers != _NO_VOTE, ends, np.inf)
    return Votes(np.hstack([np.zeros((count, 1)), ends]), voted.min(axis=1), lead, others, unopposed, right, safe)


def end_seconds(tokens: Floats, hardware: Hardware) -> Floats:
    """When lanes that start together have written so many tokens: arrays of (problem, lane), in seconds.

    They speed up as others end, by the roofline; prompts and pauses for tools are left out of it.
    """
    order = np.argsort(tokens, axis=1, kind="stable")
    lengths = np.take_along_axis(tokens, order, axis=1)
    count, lanes = lengths.shape
    ends, now, before = np.empty_like(lengths), np.zeros(count), np.zeros(count)
    for ended in range(lanes):
        running = lanes - ended
        steps = [hardware.step_seconds(running, running * context) for context in before]
        first, growth = np.array(steps, dtype=np.float64).T
        more = lengths[:, ended] - before
        now = now + first * more + growth * more**2 / 2
        ends[:, ended], before = now, lengths[:, ended]
    back = np.empty_like(ends)
    np.put_along_axis(back, order, ends, axis=1)
    return back


def _lane_counts(most: int) -> Sequence[int]:
    """Numbers of lanes that are tried."""
    return sorted({*(count for count in (2, 3, 4, 6, 8, 12, 16, 24, 32) if count < most), most})
