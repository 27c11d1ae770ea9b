"""Read completions from elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from agent.errors import InputError
from tools.benchmark.question import BenchmarkQuestion, Completion
from tools.benchmark.sets.rows import read_dataset


def read_completions(path: Path, questions: Mapping[str, BenchmarkQuestion]) -> list[Completion]:
    """Read the completions of a file with the columns `id` (of the question) and `completion` (the full reply).

    Several with one id are samples of one question. An empty reply is a reply without an answer. Raises InputError for
    a file that cannot be read, without these columns, or with the id of another question.
    """
    counts: Counter[str] = Counter()
    completions = []
    for row in read_dataset([path]):
        id_ = row.text("id")
        if id_ not in questions:
            some = ", ".join(list(questions)[:3])
            raise InputError(f"{row.place}: no question {id_!r} in the set (it has {some}, ...): give its own ids")
        text = row.values.get("completion")
        if not isinstance(text, str):
            raise InputError(f"{row.place}: no text in the column 'completion': give the full reply there")
        completions.append(Completion(id_, counts[id_], text))
        counts[id_] += 1
    return completions
