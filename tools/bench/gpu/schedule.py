"""What is measured next, and whether it fits the time left: estimates from what was measured already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tools.bench.gpu.matrix import ServingVariant

CLOSE_SECONDS = 10.0
"""Left at the end for a server to exit and the results to be written."""


@dataclass(frozen=True, slots=True)
class MatrixStep:
    """One measurement of a served variant: so many lanes, or its accuracy where `lanes` is None."""

    variant: ServingVariant
    lanes: int | None


@dataclass
class Pace:
    """The seconds that starts of servers and steps took so far.

    An estimate is the longest time of the same kind; it is 0 where nothing is known, so that the first is tried.
    """

    starts: list[float] = field(default_factory=list)
    steps: dict[int | None, list[float]] = field(default_factory=dict)

    def record_step(self, lanes: int | None, seconds: float) -> None:
        """Add a step that was done."""
        self.steps.setdefault(lanes, []).append(seconds)

    @property
    def start(self) -> float:
        """The seconds that the next start of a server is expected to take."""
        return max(self.starts, default=0.0)

    def step(self, lanes: int | None) -> float:
        """The seconds that a step is expected to take.

        Of a number of lanes that was not measured yet it is the time of the next fewer, in proportion to the lanes,
        which is the longest that more lanes can take, or else that of the next more.
        """
        if lanes in self.steps:
            return max(self.steps[lanes])
        known = sorted(count for count in self.steps if count is not None)
        if lanes is None or not known:
            return 0.0
        fewer = [count for count in known if count < lanes]
        if fewer:
            return max(self.steps[fewer[-1]]) * lanes / fewer[-1]
        return max(self.steps[known[0]])


def steps_of(variant: ServingVariant, lanes: Sequence[int], *, accuracy: bool) -> list[MatrixStep]:
    """The steps of a variant in their order: all numbers of lanes, then its accuracy if that is measured."""
    counts: list[int | None] = [*lanes, None] if accuracy else [*lanes]
    return [MatrixStep(variant, count) for count in counts]


def first_fitting(steps: Sequence[MatrixStep], pace: Pace, seconds: float) -> MatrixStep | None:
    """The first of the steps that is expected to end within `seconds`; None if none is, or no time is left."""
    return next((step for step in steps if 0 < seconds >= pace.step(step.lanes)), None)


def step_text(step: MatrixStep | None) -> str:
    """What is measured in a step; of a whole variant "server"."""
    if step is None:
        return "server"
    return "accuracy" if step.lanes is None else f"{step.lanes} lanes"
