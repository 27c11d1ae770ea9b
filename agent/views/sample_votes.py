"""What each sample of a problem voted, and why its vote weighs what it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.config import Config
from agent.policy.voting import code_agrees, is_guess, sample_weight
from agent.types import Sample, ToolStatus


@dataclass(frozen=True, slots=True)
class SampleVote:
    """A sample's vote in words: `answered` is how it came to its answer, `tools` how its tool runs went.

    `weight` is None where it has no vote. `ended` is why the sample ended, with the error that ended it if one did.
    """

    sample: Sample
    weight: float | None
    answered: str
    tools: str
    ended: str


def sample_votes(samples: Sequence[Sample], config: Config) -> list[SampleVote]:
    """The votes of a problem's samples, in the order of the samples' indices."""
    return [_vote(sample, config) for sample in sorted(samples, key=lambda each: each.index)]


def shortest_backer(samples: Sequence[Sample], answer: int | None) -> Sample | None:
    """The shortest sample that gave the answer, where forced answers come after all others; None if no sample did."""
    backers = [sample for sample in samples if answer is not None and sample.answer == answer]
    return min(backers, key=lambda sample: (sample.forced, sample.tokens, sample.index), default=None)


def _vote(sample: Sample, config: Config) -> SampleVote:
    weight = None if sample.answer is None else sample_weight(sample, config.voting, config.rules)
    ended = f"{sample.end}: {sample.failure}" if sample.failure else str(sample.end)
    return SampleVote(sample, weight, _answered(sample, config), _tools(sample), ended)


def _answered(sample: Sample, config: Config) -> str:
    if sample.answer is None:
        return "no answer"
    printed = ", as its code printed" if code_agrees(sample, config.rules) else ""
    printed = ", copied from an example in the prompt" if sample.copies_example else printed
    if is_guess(sample):
        return f"guessed: forced while unfinished{printed}"
    return f"forced after it had ended{printed}" if sample.forced else f"by itself{printed}"


def _tools(sample: Sample) -> str:
    runs = sample.tool_runs
    failed = sum(run.status is not ToolStatus.OK for run in runs)
    if not runs:
        return "none"
    return f"{len(runs)}, {failed} failed" if failed else str(len(runs))
