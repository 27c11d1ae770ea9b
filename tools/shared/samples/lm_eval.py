"""Read the sample files of lm-evaluation-harness (`log_samples`): `samples_TASK_DATE.jsonl`.

A line is one document under one filter: `target`, `resps` (the replies), `filtered_resps` (what the filter read out of
them) and the metrics by their names. It does not say how many tokens were generated.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tools.shared.samples.drawn import (
    DrawnSample,
    ReadingRules,
    SampleFile,
    graded,
    plain_answer,
    read_answer,
    stated_answer,
)
from tools.shared.samples.fields import Fields

_NAME = re.compile(r"samples_(?P<task>.+?)(?:_\d{4}-\d\d-\d\dT[\d.\-]+)?")
_NONE = "[invalid]"  # what its filters give where they find nothing
_RATIONALE = "####"  # GSM8K's targets are whole solutions, with the answer behind this


def read_lm_eval(path: Path, rows: Sequence[Fields], reading: ReadingRules) -> SampleFile:
    """Read the lines of one task. Raises InputError, naming line and field."""
    name = reading.chosen((str(row.get("filter") or "none") for row in rows), str(path), "filter")
    samples = [sample for row in rows if str(row.get("filter") or "none") == name for sample in _samples(row, reading)]
    found = _NAME.fullmatch(path.stem)
    return SampleFile(
        found["task"] if found else path.stem, path.absolute().parent.name, tuple(samples), kind="lm-eval's samples"
    )


def _samples(row: Fields, reading: ReadingRules) -> list[DrawnSample]:
    problem_id, gold = row.text("doc_id"), _gold(row.text("target"))
    replies = _flat(row, "resps")
    filtered = _flat(row, "filtered_resps") if row.get("filtered_resps") else []
    answers: list[str | None] = [stated_answer(reply) for reply in replies]
    if len(filtered) == len(replies):
        answers = [_filtered(read, reply) for read, reply in zip(filtered, replies, strict=True)]
    right = _right(row) if len(replies) == 1 else None  # a metric is of all replies together
    samples = []
    for reply, answer in zip(replies, answers, strict=True):
        vote, disputed = graded(answer, gold, right=right)
        tokens = reading.tokens(row.place, reply)
        samples.append(DrawnSample(row.place, problem_id, gold, vote, tokens, disputed=disputed))
    return samples


def _gold(target: str) -> str:
    short = target.rpartition(_RATIONALE)[2].strip() if _RATIONALE in target else target
    return stated_answer(short) or plain_answer(short)


def _filtered(read: str, reply: str) -> str | None:
    """What a filter read out of a reply, None where it found nothing."""
    return None if read.strip() in ("", _NONE) else read_answer(read, reply)


def _flat(row: Fields, name: str) -> list[str]:
    """The replies to a document's one request, which stand in a list of their own or not.

    Raises InputError for multiple choice, whose choices are requests each, and for a likelihood, a number with a truth
    value: nothing was generated there. Both are written as texts.
    """
    entries = row.items(name)
    replies = entries[0] if isinstance(entries[0], list) else entries
    likelihood = len(replies) == 2 and str(replies[1]) in ("True", "False")
    choices = len(entries) > 1 and isinstance(entries[0], list)
    if choices or likelihood or not all(isinstance(reply, str) for reply in replies):
        raise row.wrong(name, "holds no generated texts: only tasks whose answers are generated can be replayed")
    if not replies:
        raise row.wrong(name, "is empty: give a reply")
    return list(replies)


def _right(row: Fields) -> bool | None:
    """Whether any of the metrics holds the reply for right; None where none is there."""
    names = row.get("metrics")
    values = [row.get(name) for name in names if isinstance(name, str)] if isinstance(names, list) else []
    if not values:  # written before `metrics` was
        values = [row.get("exact_match")]
    told = [value for value in values if isinstance(value, bool | int | float)]
    return any(value == 1 for value in told) if told else None
