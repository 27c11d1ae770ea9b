"""Samples -> Tally: who voted for what, in an order that does not depend on the order of the samples."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from itertools import groupby

from agent.config import VotingConfig
from agent.types import Sample, SampleEnd, Tally, Vote

_LAST_INTEGER = re.compile(r"(?<![\d.])-?\d{1,18}(?!\d|\.\d)(?=\D*$)")


def tally(samples: Iterable[Sample], voting: VotingConfig) -> Tally:
    """Count the votes, the heaviest first.

    Ties go to the answer with more samples, then to the one whose samples were surer of their last tokens, then to
    the one with the shortest sample (wrong samples are longer on average), then to the smaller answer.
    """
    voters = sorted((s for s in samples if s.answer is not None), key=lambda s: s.answer or 0)
    ranked = []
    for answer, group in groupby(voters, key=lambda s: s.answer):
        assert answer is not None
        backers = list(group)
        # Sums that are rounded once do not depend on the order of the samples.
        weight = math.fsum(sample_weight(sample, voting) for sample in backers)
        sureness = math.fsum(confidence(sample) for sample in backers)
        vote = Vote(answer, weight, len(backers))
        ranked.append((-vote.weight, -vote.samples, -sureness, min(s.tokens for s in backers), answer, vote))
    return Tally(tuple(row[-1] for row in sorted(ranked, key=lambda row: row[:-1])))


def sample_weight(sample: Sample, voting: VotingConfig) -> float:
    """Weight of one sample's vote: 1, or `forced_weight` if it was forced, plus the bonuses that it has earned.

    A sample that had ended by itself and only lacked the box weighs 1.
    """
    unfinished = sample.forced and sample.end is not SampleEnd.NO_ANSWER
    weight = voting.forced_weight if unfinished else 1.0
    if voting.code_bonus and code_agrees(sample):
        weight += voting.code_bonus
    return weight + voting.confidence_bonus * confidence(sample)


def largest_weight(voting: VotingConfig, *, forced: bool = False) -> float:
    """The most that one more sample, or one more that is asked for its answer, can add to an answer."""
    return (voting.forced_weight if forced else 1.0) + voting.code_bonus + voting.confidence_bonus


def confidence(sample: Sample) -> float:
    """How sure the model was of its last tokens: their geometric mean probability, 0 where the engine did not tell.

    Bounded on purpose: weights like 1/entropy let one certain sample outvote four others.
    """
    return 0.0 if sample.tail_logprob is None else math.exp(min(0.0, sample.tail_logprob))


def code_agrees(sample: Sample) -> bool:
    """Whether the last integer that the sample's own last tool run printed is its answer."""
    printed = last_integer([run.output for run in sample.tool_runs])
    return printed is not None and printed == sample.answer


def last_integer(outputs: Sequence[str]) -> int | None:
    """The last integer in the last output, None where there is none."""
    if not outputs:
        return None
    match = _LAST_INTEGER.search(outputs[-1][-200:])
    return int(match.group()) if match else None
