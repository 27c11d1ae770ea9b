"""Samples -> Tally: who voted for what, in an order that does not depend on the order of the samples."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import groupby

from agent.config import VotingConfig
from agent.latex_integer import MAX_CHARS, parse_integer
from agent.latex_words import changes_value
from agent.types import Sample, SampleEnd, Tally, ToolStatus, Vote

_CUT = re.compile(r"\[\.\.\. .{0,80}\bcut\b")
_NO_RESULT = re.compile(r"\d\s+\d|\blines?\b|(?:error|exception|warning|interrupt|stopiteration|exit)\b", re.IGNORECASE)
_PROSE = re.compile(r"[^{}\\]*")
_LABEL = re.compile(r"[^\W\d_][^\d+*/^=<>()\[\]|]*(?<![-\u2212])")


def tally(samples: Iterable[Sample], voting: VotingConfig, modulus: int | None = None) -> Tally:
    """Count the votes, the heaviest first; `modulus` is the edition's, for what code printed.

    Ties go to the answer with more samples, then to the one whose samples were surer of their last tokens, then to
    the one with the shortest sample (wrong samples are longer on average), then to the smaller answer.
    """
    voters = sorted((s for s in samples if s.answer is not None), key=lambda s: s.answer or 0)
    ranked = []
    for answer, group in groupby(voters, key=lambda s: s.answer):
        assert answer is not None
        backers = list(group)
        # Sums that are rounded once do not depend on the order of the samples.
        weight = math.fsum(sample_weight(sample, voting, modulus) for sample in backers)
        sureness = math.fsum(confidence(sample) for sample in backers)
        vote = Vote(answer, weight, len(backers))
        ranked.append((-vote.weight, -vote.samples, -sureness, min(s.tokens for s in backers), answer, vote))
    return Tally(tuple(row[-1] for row in sorted(ranked, key=lambda row: row[:-1])))


def sample_weight(sample: Sample, voting: VotingConfig, modulus: int | None = None) -> float:
    """Weight of one sample's vote: 1, or `forced_weight` if it was forced, plus the bonuses that it has earned.

    A sample that had ended by itself and only lacked the box weighs 1.
    """
    unfinished = sample.forced and sample.end is not SampleEnd.NO_ANSWER
    weight = voting.forced_weight if unfinished else 1.0
    if voting.code_bonus and code_agrees(sample, modulus):
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


def code_agrees(sample: Sample, modulus: int | None = None) -> bool:
    """Whether what the last successful one of the sample's tool runs printed is its answer, by the edition's modulus.

    See `printed_integer`. Runs that failed print tracebacks and reasons, and no results.
    """
    outputs = [run.output for run in sample.tool_runs if run.status is ToolStatus.OK]
    printed = printed_integer(outputs[-1]) if outputs else None
    if printed is None or sample.answer is None:
        return False
    return sample.answer == (printed if modulus is None else printed % modulus)


def printed_integer(output: str) -> int | None:
    """The integer that the last line of an output states, read as in a box: `42`, `12,345`, `x = 42`, `There are 42`.

    Words may stand before it, unless they change it or tell of an error. None where the line states anything else: more
    numbers than one, a fraction, a float such as `1e5`, a line of a traceback, or the rest of a line that was cut.
    """
    before, line = ["", *output.rstrip().rsplit("\n", 2)][-2:]
    return None if _CUT.search(before) or len(line) > MAX_CHARS else _stated(line.strip())


@lru_cache(maxsize=4_096)  # a vote is counted many times
def _stated(line: str) -> int | None:
    if _NO_RESULT.search(line):
        return None
    value = parse_integer(line)
    if value is not None or not _PROSE.fullmatch(line):
        return value
    label, _, number = line.rpartition(" ")
    words = re.findall(r"[^\W\d_]+", label.lower())
    if _LABEL.fullmatch(label) and not changes_value(words):
        return parse_integer(number.rstrip("!"))  # in prose that is no factorial
    return parse_integer(f"\\text{{{line}}}")
