"""Join the samples of files of one task and model, as lines of a recording."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agent.errors import InputError
from tools.shared.samples.drawn import DrawnSample, SampleFile

_UNSAFE = re.compile(r"[^\w.+=@-]+")


@dataclass(frozen=True, slots=True)
class Conversion:
    """The samples of one task and model, from one file or several, by problem."""

    task: str
    model: str
    problems: dict[str, list[DrawnSample]]
    failed: int
    kind: str

    @property
    def file_name(self) -> str:
        """The name of its recording."""
        return f"{_UNSAFE.sub('-', self.task)}.{_UNSAFE.sub('-', self.model)}.jsonl"

    @property
    def summary(self) -> str:
        """How much it holds, and what of it has no vote."""
        counts = [len(samples) for samples in self.problems.values()]
        samples = [sample for drawn in self.problems.values() for sample in drawn]
        each = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
        silent = sum(sample.answer is None and not sample.truncated and not sample.disputed for sample in samples)
        facts = (
            (sum(sample.truncated for sample in samples), "cut off"),
            (silent, "without an answer"),
            (
                sum(sample.disputed for sample in samples),
                "without a vote, as they state the answer and are graded wrong",
            ),
            (self.failed, "left out, as they ended with an error"),
        )
        told = "".join(f", {count:,} {what}" for count, what in facts if count)
        problems = "1 problem" if len(counts) == 1 else f"{len(counts):,} problems"
        return f"{problems}, {each} {'sample' if each == '1' else 'samples'} each{told}"

    def rows(self) -> list[dict[str, Any]]:
        """The lines of its recording, as objects."""
        return [self._row(name, drawn) for name, drawn in self.problems.items()]

    def lines(self) -> list[str]:
        """The lines of its recording."""
        return [json.dumps(row, ensure_ascii=False) + "\n" for row in self.rows()]

    def _row(self, problem_id: str, drawn: Sequence[DrawnSample]) -> dict[str, Any]:
        samples = []
        for sample in drawn:
            row: dict[str, Any] = {"answer": _number(sample.answer), "tokens": sample.tokens}
            samples.append({**row, "truncated": True} if sample.truncated else row)
        return {
            "problem_id": problem_id,
            "answer": _number(drawn[0].gold),
            "model": self.model,
            "source": f"{self.task}, converted by tools.convert",
            "samples": samples,
        }


def merged(files: Sequence[SampleFile], model: str | None) -> list[Conversion]:
    """Join the samples of files with the same task and model. Raises InputError where true answers differ."""
    conversions: dict[tuple[str, str], Conversion] = {}
    for file in files:
        key = file.task, model or file.model
        before = conversions.get(key, Conversion(*key, {}, 0, file.kind))
        for sample in file.samples:
            drawn = before.problems.setdefault(sample.problem_id, [])
            if drawn and drawn[0].gold != sample.gold:
                raise InputError(
                    f"{sample.place}: the true answer of {sample.problem_id} is {sample.gold!r} here and "
                    f"{drawn[0].gold!r} in {drawn[0].place}: correct one, or give the problems different ids"
                )
            drawn.append(sample)
        conversions[key] = Conversion(*key, before.problems, before.failed + file.failed, before.kind)
    return list(conversions.values())


def _number(answer: str | None) -> int | str | None:
    """The answer as a number where it is one in digits."""
    return int(answer) if answer is not None and re.fullmatch(r"-?\d{1,18}", answer, re.ASCII) else answer
