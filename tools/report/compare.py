"""Compare two runs: paired differences, problems with different answers, and different settings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from agent.errors import InputError
from tools.report.data import ProblemRecord, ReportedRun
from tools.report.stats import Difference, common_problems, differences, power_sentences


@dataclass(frozen=True)
class Comparison:
    """A comparison of two runs."""

    first: ReportedRun
    second: ReportedRun

    def check(self) -> None:
        """Raise InputError if no problem is closed in both."""
        if not self.pairs:
            raise InputError(
                f"{self.first.name} and {self.second.name} have no closed problem in common: "
                "give two runs of the same problems, or one alone"
            )

    @cached_property
    def pairs(self) -> list[tuple[ProblemRecord, ProblemRecord]]:
        """The problems closed in both."""
        return common_problems(self.first, self.second)

    @cached_property
    def differences(self) -> list[Difference]:
        """The means of paired differences."""
        return differences(self.first, self.second)

    @property
    def power(self) -> list[str]:
        """What it takes to see a difference between such runs."""
        return power_sentences(self.first, self.second)

    @property
    def changed(self) -> list[tuple[ProblemRecord, ProblemRecord]]:
        """The problems with a different outcome or answer."""
        return [pair for pair in self.pairs if _came_to(pair[0]) != _came_to(pair[1])]

    @property
    def settings(self) -> list[tuple[str, str, str]]:
        """The configuration keys that differ, with both values."""
        one, other = (dict(_flat(run.record.config.model_dump())) for run in (self.first, self.second))
        return [
            (key, json.dumps(one.get(key)), json.dumps(other.get(key)))
            for key in sorted(one.keys() | other.keys())
            if one.get(key) != other.get(key)
        ]


def _came_to(problem: ProblemRecord) -> tuple[object, ...]:
    return problem.outcome, problem.solution.answer if problem.solution else None


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield above + key, value
