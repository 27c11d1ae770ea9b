"""The loop over a matrix: servers in order of use, each with its lanes, within a time limit that is kept."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, fields, replace
from typing import Protocol

from agent.errors import ConfigError, EngineError
from tools.bench.gpu.matrix import ServingVariant
from tools.bench.gpu.results import (
    AccuracyMeasured,
    MatrixResults,
    Measured,
    Refused,
    ServerStarted,
    SpeedMeasured,
)
from tools.bench.gpu.schedule import CLOSE_SECONDS, MatrixStep, Pace, first_fitting, step_text, steps_of
from tools.bench.gpu.server_facts import server_reason

_MEMORY = re.compile("memory|KV cache", re.IGNORECASE)


class MeasuredServer(Protocol):
    """A variant whose server is up."""

    async def speed(self, lanes: int) -> SpeedMeasured:
        """Measure the speed of so many lanes. Raises EngineError if the server fails."""

    async def accuracy(self) -> AccuracyMeasured:
        """Measure the accuracy. Raises EngineError if the server fails."""


ServeVariant = Callable[[ServingVariant], AbstractAsyncContextManager[tuple[MeasuredServer, ServerStarted]]]
"""Starts the server of a variant, and ends it with the context.

Entering raises EngineError or ConfigError if it cannot be served.
"""


@dataclass
class MatrixRun:
    """Measures what a matrix still lacks within `seconds` from now, by the loop's clock.

    `serve` starts servers; `record` is called with each measurement as soon as it is there, `say` with what comes next,
    in one line. What is refused is recorded with its reason and not tried again; what the time left does not hold, by
    the estimate from what was measured already, is left for later. A step that takes longer is broken off.
    """

    results: MatrixResults
    serve: ServeVariant
    record: Callable[[Measured], None]
    say: Callable[[str], None]
    seconds: float

    async def run(self) -> MatrixResults:
        """Measure, and return all results, those from before included."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + self.seconds - min(CLOSE_SECONDS, self.seconds / 4)
        pace = pace_of(self.results)
        for variant in self.results.plan.matrix.variants:
            failed = True
            self._refuse_as_before(variant)
            while failed and (steps := self._open_steps(variant)):
                if first_fitting(steps, pace, deadline - clock() - pace.start) is None:
                    break
                failed = await self._measure(variant, steps, pace, deadline)
        return self.results

    async def _measure(self, variant: ServingVariant, steps: list[MatrixStep], pace: Pace, deadline: float) -> bool:
        """Take the steps that fit with one server; return whether it failed in one, so that the others need another."""
        self.say(f"starting the server: {variant.name}")
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout_at(deadline):
                    server, started = await stack.enter_async_context(self.serve(variant))
            except (EngineError, ConfigError) as error:
                self._tell_failed_start(variant, server_reason(str(error)))
                return False
            except TimeoutError:
                return False
            pace.starts.append(started.seconds)
            self._add(started)
            return await self._take_steps(server, steps, pace, deadline)

    async def _take_steps(self, server: MeasuredServer, steps: list[MatrixStep], pace: Pace, deadline: float) -> bool:
        """Take the steps that fit; return whether the server failed in one."""
        clock = asyncio.get_running_loop().time
        left = list(steps)
        while step := first_fitting(left, pace, deadline - clock()):
            left.remove(step)
            self.say(f"{step.variant.name}: {step_text(step)}")
            try:
                async with asyncio.timeout_at(deadline):
                    measured = await (server.accuracy() if step.lanes is None else server.speed(step.lanes))
            except EngineError as error:
                tried = step != steps[0] or self._has_served(step.variant)
                self._refuse_step(step, server_reason(str(error)), alone=tried)
                return True
            except TimeoutError:
                return False
            pace.record_step(step.lanes, measured.seconds)
            self._add(measured)
        return False

    def _tell_failed_start(self, variant: ServingVariant, reason: str) -> None:
        """Refuse a variant whose server does not start; one whose server has served before is left to be resumed.

        There the reason may be a passing one, as where the memory of the server that failed is not free yet.
        """
        if self._has_served(variant):
            self.say(f"left for --resume: {variant.name}, whose server did not start again: {reason}")
        else:
            self._refuse(Refused(variant, reason))

    def _has_served(self, variant: ServingVariant) -> bool:
        """Whether a step of the variant was taken, by a server that came up."""
        return any(step.variant == variant for step in self.results.closed)

    def _refuse_step(self, step: MatrixStep, reason: str, *, alone: bool) -> None:
        """Refuse a step in which the server failed, or the whole variant where no server of it has done one."""
        variant = step.variant
        self._refuse(Refused(variant, reason, step.lanes, step.lanes is None) if alone else Refused(variant, reason))

    def _refuse_as_before(self, variant: ServingVariant) -> None:
        """Refuse a variant one of whose choices was refused alone, but for want of memory, which others may save."""
        usual = self.results.plan.matrix.variants[0]
        if variant == usual or not self._open_steps(variant):
            return
        for choice in fields(ServingVariant):
            alone = replace(usual, **{choice.name: getattr(variant, choice.name)})
            reason = self.results.refusals.get((alone, None), "")
            if alone not in (usual, variant) and reason and not _MEMORY.search(reason):
                self._refuse(Refused(variant, f"as {alone.name}: {reason}"))
                return

    def _open_steps(self, variant: ServingVariant) -> list[MatrixStep]:
        return [step for step in steps_left(self.results) if step.variant == variant]

    def _refuse(self, refused: Refused) -> None:
        what = "" if refused.step is None else f", {step_text(refused.step)}"
        self.say(f"refused: {refused.variant.name}{what}: {refused.reason}")
        self._add(refused)

    def _add(self, measured: Measured) -> None:
        self.record(measured)
        self.results = replace(self.results, records=(*self.results.records, measured))


def pace_of(results: MatrixResults) -> Pace:
    """What the measurements of a matrix took so far."""
    pace = Pace([started.seconds for started in results.servers.values()])
    for speed in results.speeds.values():
        pace.record_step(speed.lanes, speed.seconds)
    for accuracy in results.accuracies.values():
        pace.record_step(None, accuracy.seconds)
    return pace


def steps_left(results: MatrixResults) -> list[MatrixStep]:
    """The steps that are neither measured nor refused."""
    plan, closed, refused = results.plan, set(results.closed), set(results.refused_variants)
    steps = (
        step
        for variant in plan.matrix.variants
        if variant not in refused
        for step in steps_of(variant, plan.matrix.lanes, accuracy=bool(plan.problems))
    )
    return [step for step in steps if step not in closed]
