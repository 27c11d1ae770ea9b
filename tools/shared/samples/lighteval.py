"""Read the details of lighteval (`--save-details`): parquet or JSON, a row a document.

Since version 0.10 a row has `doc` (choices, index of the right one), `model_response` (texts, tokens) and `metric`;
before it had `gold`, `predictions`, `cont_tokens` and `metrics`. A metric is of all samples of a document together, so
that it tells nothing of one of several: the answers of these are read from their last boxes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.shared.samples.drawn import DrawnSample, ReadingRules, SampleFile, graded, plain_answer, stated_answer
from tools.shared.samples.fields import Fields

_NAME = re.compile(r"details_(?P<task>.+?)(?:_\d{4}-\d\d-\d\dT[\d.\-:]+)?")


@dataclass(frozen=True, slots=True)
class _Document:
    """A row's document: its id, its true answer, and whether its metrics hold the reply for right."""

    id: str
    gold: str
    right: bool | None


def read_lighteval(path: Path, rows: Sequence[Fields], reading: ReadingRules) -> SampleFile:
    """Read the rows of one task. Raises InputError, naming row and field."""
    found = _NAME.fullmatch(path.stem)
    samples = [
        sample
        for number, row in enumerate(rows)
        for sample in (_samples if row.get("model_response") is not None else _early_samples)(row, number, reading)
    ]
    return SampleFile(
        found["task"] if found else path.stem,
        _model(path.absolute()),
        tuple(samples),
        kind="lighteval's details",
    )


def _model(path: Path) -> str:
    """The model whose file it is: they lie in details/ORGANIZATION/MODEL/DATE/, the organization left out or not."""
    folders = path.parent.parts
    return "/".join(folders[-3:-1]) if folders[-4:-3] == ("details",) else path.parent.parent.name


def _samples(row: Fields, number: int, reading: ReadingRules) -> Iterator[DrawnSample]:
    doc, response = row.inner("doc"), row.inner("model_response")
    choices, index = doc.items("choices"), doc.need("gold_index")
    first = index[0] if isinstance(index, list) and index else index
    if isinstance(first, bool) or not isinstance(first, int) or not 0 <= first < len(choices):
        raise doc.wrong("gold_index", f"is {index!r}: give the index of one of the {len(choices)} choices")
    document = _Document(str(doc.get("id") or number), _gold(str(choices[first])), _right(row.get("metric")))
    yield from _replies(response, ("text", "output_tokens"), document, reading)


def _early_samples(row: Fields, number: int, reading: ReadingRules) -> Iterator[DrawnSample]:
    gold = row.need("gold")
    if isinstance(gold, list):
        gold = row.items("gold")[0]
    document = _Document(str(number), _gold(str(gold)), _right(row.get("metrics")))
    yield from _replies(row, ("predictions", "cont_tokens"), document, reading)


def _replies(
    fields: Fields, names: tuple[str, str], document: _Document, reading: ReadingRules
) -> Iterator[DrawnSample]:
    texts, counts = fields.items(names[0]), _counts(fields.get(names[1]))
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise fields.wrong(f"{names[0]}[{number}]", "is no text: only generated answers can be replayed")
        right = document.right if len(texts) == 1 else None
        vote, disputed = graded(stated_answer(text), document.gold, right=right)
        count = counts[number] if number < len(counts) else 0
        tokens = count or reading.tokens(fields.place, text)
        yield DrawnSample(fields.place, document.id, document.gold, vote, tokens, disputed=disputed)


def _right(metrics: Any) -> bool | None:
    """Whether any of the metrics is 1; None where there is none."""
    values = [value for value in metrics.values() if value is not None] if isinstance(metrics, Mapping) else []
    return any(value == 1 for value in values) if values else None


def _gold(text: str) -> str:
    return stated_answer(text) or plain_answer(text)


def _counts(tokens: Any) -> list[int]:
    """The number of tokens of each sample; a single sample's may stand without a list around them."""
    if not isinstance(tokens, list) or not tokens:
        return []
    return [len(each) for each in tokens] if all(isinstance(each, list) for each in tokens) else [len(tokens)]
