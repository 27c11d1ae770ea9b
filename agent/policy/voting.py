"""Samples -> Tally: what each vote weighs by the configured rule, in an order that does not depend on the samples'.

To add a rule, write its function, with its source, and enter it in VOTING_RULES with the most that it gives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby

from agent.policy.code_output import printed_integer
from agent.policy.settings import VotingConfig
from agent.types import Edition, Sample, SampleEnd, Tally, ToolStatus, Vote

_TRIVIAL = (0, 1)


@dataclass(frozen=True, slots=True)
class VotingRule:
    """What the vote of a sample weighs, and the most that the vote of any sample can weigh.

    Both are given what a vote weighs by itself: 1, or `forced_weight` for an answer that was forced. A problem is
    closed early where its lead exceeds that bound for each lane still running, so no weight may exceed it or be
    negative. `source` is the rule's key in references.bib, "" where nothing is to be cited.
    """

    weight: Callable[[float, Sample, VotingConfig, Edition], float]
    bound: Callable[[float, VotingConfig], float]
    source: str = ""


@dataclass(frozen=True, slots=True)
class Ballot:
    """All that counting looks at of a sample that votes; `confidence` and `tokens` decide ties."""

    answer: int
    weight: float
    confidence: float
    tokens: int


def majority_weight(own: float, sample: Sample, voting: VotingConfig, edition: Edition) -> float:
    """Self-consistency (Wang et al., 2022): a vote each, here with bonuses for what speaks for a sample, 0 by default.

    `code_bonus` where the sample's own code printed its answer, and `confidence_bonus` times how sure the model was of
    its last tokens. Where the answer is a 0 or 1 that its code printed, all that counts `printed_trivial_weight` times:
    a search that found nothing prints these.
    """
    if voting.code_bonus and code_agrees(sample, edition):
        own += voting.code_bonus
    weight = own + voting.confidence_bonus * confidence(sample)
    if voting.printed_trivial_weight < 1 and sample.answer in _TRIVIAL and code_printed(sample) == sample.answer:
        weight *= voting.printed_trivial_weight
    return weight


VOTING_RULES: Mapping[str, VotingRule] = {
    "majority": VotingRule(
        majority_weight,
        lambda own, voting: own + voting.code_bonus + voting.confidence_bonus,
        "wang2023selfconsistency",
    ),
}
"""The rules by their names, which configuration, replay and documents share."""


class BallotBox:
    """The votes of a problem's samples, each weighed once, as it comes."""

    def __init__(self, voting: VotingConfig, edition: Edition, samples: Iterable[Sample] = ()) -> None:
        self._voting = voting
        self._edition = edition
        self._ballots: list[Ballot] = []
        self.tally = Tally()
        for sample in samples:
            self.add(sample)

    def add(self, sample: Sample) -> None:
        """Count the vote of another sample, if it has one."""
        cast = ballot(sample, self._voting, self._edition)
        if cast is not None:
            self._ballots.append(cast)
            self.tally = count_ballots(self._ballots)


def tally(samples: Iterable[Sample], voting: VotingConfig, edition: Edition) -> Tally:
    """Count the votes by the configured rule, the heaviest answer first; see `count_ballots`."""
    return count_ballots(cast for sample in samples if (cast := ballot(sample, voting, edition)) is not None)


def ballot(sample: Sample, voting: VotingConfig, edition: Edition) -> Ballot | None:
    """The vote of a sample; None for one without an answer."""
    if sample.answer is None:
        return None
    return Ballot(sample.answer, sample_weight(sample, voting, edition), confidence(sample), sample.tokens)


def count_ballots(ballots: Iterable[Ballot]) -> Tally:
    """The answers with their votes, the heaviest first.

    Ties go to the answer with more samples, then to the one whose samples were more confident of their last tokens,
    then to the one with the shortest sample (wrong samples are longer on average), then to the smaller answer.
    """
    ranked = []
    for answer, group in groupby(sorted(ballots, key=lambda cast: cast.answer), key=lambda cast: cast.answer):
        backers = list(group)
        # Sums that are rounded once do not depend on the order of the samples.
        weight = math.fsum(cast.weight for cast in backers)
        confident = math.fsum(cast.confidence for cast in backers)
        vote = Vote(answer, weight, len(backers))
        ranked.append((-weight, -vote.samples, -confident, min(cast.tokens for cast in backers), answer, vote))
    return Tally(tuple(vote for *_, vote in sorted(ranked)))


def sample_weight(sample: Sample, voting: VotingConfig, edition: Edition) -> float:
    """The weight of one sample's vote; a guess weighs less by itself.

    Under every rule, a vote that copies an example of the prompt weighs `copied_example_weight` times what the rule
    gives it.
    """
    weight = VOTING_RULES[voting.rule].weight(_own_weight(voting, forced=is_guess(sample)), sample, voting, edition)
    return weight * voting.copied_example_weight if sample.copies_example else weight


def mark_copy(sample: Sample, edition: Edition, example_answers: Collection[int]) -> Sample:
    """The sample, with `copies_example` where its answer is one of those of the examples that its prompt shows.

    By the edition's rule, and only if no successful tool run of the sample, be it the last or not, printed that answer.
    """
    if sample.answer is None or all(edition.reduce(each) != sample.answer for each in example_answers):
        return sample
    printed = (printed_integer(run.output) for run in sample.tool_runs if run.status is ToolStatus.OK)
    own = any(value is not None and edition.reduce(value) == sample.answer for value in printed)
    return replace(sample, copies_example=not own)


def is_guess(sample: Sample) -> bool:
    """Whether the sample's answer was forced while it was unfinished: cut short, or broken off.

    One that had ended by itself and only lacked the box is no guess.
    """
    return sample.forced and sample.answer is not None and sample.end is not SampleEnd.NO_ANSWER


def largest_weight(voting: VotingConfig, *, forced: bool = False) -> float:
    """The most that one more sample, or one more forced answer, can add to an answer."""
    return VOTING_RULES[voting.rule].bound(_own_weight(voting, forced=forced), voting)


def confidence(sample: Sample) -> float:
    """How sure the model was of its last tokens: their geometric mean probability, 0 where the engine did not tell.

    Bounded on purpose: weights like 1/entropy let one certain sample outvote four others.
    """
    return 0.0 if sample.tail_logprob is None else math.exp(min(0.0, sample.tail_logprob))


def code_agrees(sample: Sample, edition: Edition) -> bool:
    """Whether what the sample's code printed is its answer, by the edition's rule."""
    printed = code_printed(sample)
    return printed is not None and sample.answer is not None and edition.reduce(printed) == sample.answer


def code_printed(sample: Sample) -> int | None:
    """The integer that the last successful one of the sample's tool runs printed; None where it printed none.

    See `printed_integer`. Runs that failed print tracebacks and reasons, and no results.
    """
    outputs = [run.output for run in sample.tool_runs if run.status is ToolStatus.OK]
    return printed_integer(outputs[-1]) if outputs else None


def _own_weight(voting: VotingConfig, *, forced: bool) -> float:
    return voting.forced_weight if forced else 1.0
