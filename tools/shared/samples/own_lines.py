"""Read JSON lines of one's own: `id`, `gold`, and samples of `answer` and `tokens`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from agent.files.suggestions import did_you_mean
from tools.shared.samples.drawn import DrawnSample, ReadingRules, SampleFile, plain_answer
from tools.shared.samples.fields import Fields

_LISTS = ("samples", "answers")


def read_own_lines(name: str, rows: Sequence[Fields], reading: ReadingRules) -> SampleFile:
    """Read lines with all samples of a problem, or with one each. Raises InputError, naming line and field."""
    model = _model(rows)
    samples = tuple(sample for row in rows for sample in _samples(row))
    return SampleFile(name, model or name, samples)


def _model(rows: Sequence[Fields]) -> str | None:
    """The model that the lines name, None where none does. Raises InputError for two: their samples vote apart."""
    found = None
    for row in rows:
        model = None if row.get("model") is None else row.text("model")
        if found and model and model != found:
            raise row.wrong("model", f"is {model!r}, and {found!r} above: give each model a file of its own")
        found = found or model
    return found


def _samples(row: Fields) -> Iterator[DrawnSample]:
    problem_id, gold = row.text("id"), plain_answer(row.text("gold"))
    listed = next((name for name in _LISTS if row.get(name) is not None), None)
    if listed is None:
        yield _sample(row, problem_id, gold)
        return
    for number, entry in enumerate(row.items(listed)):
        at = f"{listed}[{number}]"
        if isinstance(entry, list):
            if len(entry) != 2:
                raise row.wrong(at, "is no pair: give the answer and the number of tokens")
            entry = dict(zip(("answer", "tokens"), entry, strict=True))
        if not isinstance(entry, dict):
            raise row.wrong(at, "is neither an object nor a pair: give [answer, tokens]")
        yield _sample(Fields(row.place, entry, f"{row.above}{at}."), problem_id, gold)


def _sample(fields: Fields, problem_id: str, gold: str) -> DrawnSample:
    _check_names(fields)
    given = fields.get("answer")
    empty = given is None or (isinstance(given, str) and not given.strip())
    answer = None if empty else plain_answer(fields.text("answer"))
    return DrawnSample(fields.place, problem_id, gold, answer, fields.count("tokens"), fields.flag("truncated"))


def _check_names(fields: Fields) -> None:
    """Raise InputError for a misspelled name: without it the sample would have no vote, or count as whole."""
    optional = ("truncated",) if fields.flag("truncated") else ("answer", "truncated")
    for missing in (name for name in optional if name not in fields.values):
        for name in fields.values:
            if guess := did_you_mean(name, [missing]):
                raise fields.wrong(name, f"is unknown{guess}: rename it")
