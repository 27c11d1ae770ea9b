"""What a run learns of a problem for those after it: how far its lanes had come at its first vote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from agent.policy.voting import is_guess
from agent.types import Learnt, Sample, SampleEnd

_LOST = (SampleEnd.ENGINE_ERROR, SampleEnd.INTERNAL_ERROR)


def learnt_of(samples: Sequence[Sample], earlier: int = 0, *, was_down: bool) -> Learnt | None:
    """What the samples of a problem tell; None if none wrote anything.

    Lanes write at one speed, so the first that voted, or the longest where none has, tells how far all had come. Those
    that started before any had ended are the lanes of that time. A guess, be it forced at the deadline or at the limit
    of tokens, is no vote here, as it comes when the limits say. `was_down` says whether the engine was down in the
    meantime.

    The first `earlier` samples are from an earlier try. Where one of them voted, the first vote came then, from lanes
    that are not known any more: None. The others of them tell nothing.
    """
    if any(map(_has_voted, samples[:earlier])):
        return None
    samples = samples[earlier:]
    written = [sample for sample in samples if sample.tokens and sample.end not in _LOST]
    if not written:
        return None
    voted = [sample for sample in written if _has_voted(sample)]
    told = min(voted, key=_end) if voted else max(written, key=lambda sample: sample.tokens)
    first_end = min(map(_end, written))
    lanes = sum(sample.started < first_end for sample in samples)
    votes = Counter(sample.answer for sample in voted).most_common(2)
    leads = len(votes) == 1 or (len(votes) > 1 and votes[0][1] > votes[1][1])
    asked = [sample for sample in written if leads and sample.forced and sample.end is SampleEnd.DEADLINE]
    return Learnt(
        lanes=max(1, lanes),
        tokens=told.tokens,
        seconds=None if was_down or told.seconds <= 0 else told.seconds,
        voted=bool(voted),
        asked=len(asked),
        agreed=sum(sample.answer == votes[0][0] for sample in asked),
    )


def _has_voted(sample: Sample) -> bool:
    return sample.answer is not None and not is_guess(sample)


def _end(sample: Sample) -> float:
    return sample.started + sample.seconds
