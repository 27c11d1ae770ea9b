"""What the samples of the check say of the served model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.health.broken_text import ONE_CHARACTER, broken_text
from agent.types import Learnt, Problem, Sample, SampleEnd

_QUOTED_CHARS = 60
_WITHOUT_SERVER = (SampleEnd.ENGINE_ERROR, SampleEnd.DEADLINE, SampleEnd.CANCELLED)  # where a lane got no token


@dataclass(frozen=True, slots=True)
class Health:
    """How many problems of the check were answered right by at least one lane, and what is wrong ("" if nothing).

    `cost` is what the check cost, 0 where there are no prices; `unpaid` says that the limit of the run's cost ended it
    before it could tell, and `unserved` that the server gave its lanes no token. `learnt` is what its problems tell of
    the speed.
    """

    right: int
    asked: int
    fault: str = ""
    cost: float = 0.0
    unpaid: bool = False
    unserved: bool = False
    learnt: tuple[Learnt, ...] = ()


def health_of(
    problems: Sequence[Problem], samples: Sequence[Sample], failure: str = "", *, cut: bool = False
) -> Health:
    """Judge a model by its samples of the check; `failure` says why the engine failed, if it did, and `cut` that
    the limit of the run's cost ended the check.

    A model is sound if at least one lane answered one of the problems right, and most lanes wrote language. A weak one
    is; one that writes well and knows nothing is not.
    """
    truths = {(problem.id, problem.answer) for problem in problems}
    right = [sample for sample in samples if (sample.problem_id, sample.answer) in truths]
    solved = {sample.problem_id for sample in right}
    written = [sample for sample in samples if sample.tokens]
    broken = [(sample, reason) for sample in written if (reason := _what_is_broken(sample, right=sample in right))]
    fault = ""
    if not written:
        fault = f"it generated nothing{f' ({failure})' if failure else ''}"
    elif 2 * len(broken) > len(written):
        sample, reason = max(broken, key=lambda each: each[0].tokens)
        fault = f"{len(broken)} of {len(written)} lanes wrote no language but {reason}, like {_quoted(sample)}"
        fault += _no_numbers(written, reason)
    elif not solved:
        fault = f"it answered none of the {len(problems)} problems right; {_what_is_written(written)}"
        fault += _lack_of_time(written)
    unpaid = cut and bool(fault) and 2 * len(broken) <= len(written)
    unserved = not written and all(sample.end in _WITHOUT_SERVER for sample in samples)
    return Health(len(solved), len(problems), fault, unpaid=unpaid, unserved=unserved)


def _what_is_broken(sample: Sample, *, right: bool) -> str:
    """What is broken in a sample's text, "" if nothing is. One that loops after a right answer has not failed."""
    reason = broken_text(_text_of(sample))
    loops = sample.end is SampleEnd.REPEATING and not right
    return reason or ("one piece over and over" if loops else "")


def _no_numbers(written: Sequence[Sample], reason: str) -> str:
    """What it may be that every lane writes the same character, whatever it is asked: no score is above another."""
    same = len({char for sample in written for char in _text_of(sample) if not char.isspace()}) == 1
    if reason != ONE_CHARACTER or not same or len(written) < 2:
        return ""
    return ", the same in all, as where the weights or the computation give no numbers (NaN)"


def _what_is_written(written: Sequence[Sample]) -> str:
    """The text of the longest lane, quoted."""
    longest = max(
        (sample for sample in written if _text_of(sample).strip()), key=lambda sample: sample.tokens, default=None
    )
    if longest is None:
        return "its lanes ended their turns without a word"
    return f"one lane wrote {_quoted(longest)}"


def _lack_of_time(written: Sequence[Sample]) -> str:
    """How slow the server is, if most of the lanes were out of time: then it may be that, and not the model."""
    late = [sample for sample in written if sample.end is SampleEnd.DEADLINE]
    if 2 * len(late) <= len(written):
        return ""
    tokens, seconds = max((sample.tokens, sample.seconds) for sample in late)
    return f" and no more than {tokens:,} tokens in {seconds:.0f} s, when its time was up: the server may be too slow"


def _quoted(sample: Sample) -> str:
    """The beginning of a sample's text, in one line of printable characters."""
    return repr(" ".join(_text_of(sample).split())[:_QUOTED_CHARS])


def _text_of(sample: Sample) -> str:
    """What the model itself wrote."""
    return "".join(turn.text for turn in sample.turns)
