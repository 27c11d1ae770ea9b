"""Matrices of ways to serve with measurements, drawn and by hand, and servers that are measured in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from hypothesis import strategies as st

from agent.config import load_config
from agent.errors import EngineError
from tools.bench.clients import Speed
from tools.bench.gpu.matrix import KV_CACHES, SPECULATIONS, WEIGHT_FORMATS, ServingMatrix, ServingVariant
from tools.bench.gpu.results import (
    AccuracyMeasured,
    MatrixPlan,
    MatrixResults,
    Measured,
    ProblemVotes,
    Refused,
    ServerStarted,
    SpeedMeasured,
)

USUAL = ServingVariant("stored", "auto", "none")


@cache
def _config() -> dict[str, Any]:
    return load_config("vllm-cpu", {"engine.model": "some/model"}).model_dump(mode="json")


def plan_of(matrix: ServingMatrix, **changes: Any) -> MatrixPlan:
    """The plan of a matrix on some machine, with accuracy of starter problems."""
    fields: dict[str, Any] = {
        "model": "some/model",
        "digest": "12ab",
        "random": "",
        "machine": "1 x NVIDIA H200",
        "vllm": "0.32.0",
        "profile": "vllm-cpu",
        "config": _config(),
        "matrix": matrix,
        "tokens": 256,
        "problems": "starter",
        "problem_count": 12,
    }
    return MatrixPlan(**fields | changes)


def speed_of(
    variant: ServingVariant, lanes: int, per_second: float, seconds: float = 1.0, **more: Any
) -> SpeedMeasured:
    """A speed through the agent, which is also that of vLLM's client."""
    speed = Speed(round(1_000 * per_second), 1_000.0, 0.1)
    fields: dict[str, Any] = {"roofline": None, "acceptance": None, "accepted_length": None}
    return SpeedMeasured(variant, lanes, speed, speed, seconds=seconds, **fields | more)


def accuracy_of(variant: ServingVariant, right: int, count: int = 12, seconds: float = 1.0) -> AccuracyMeasured:
    """An accuracy with so many right votes."""
    votes = tuple(
        ProblemVotes(f"p{n}", n if n < right else n + 1, n, 4, 4 if n < right else 1, 5) for n in range(count)
    )
    return AccuracyMeasured(variant, votes, 100, seconds)


def _subsets(values: tuple[Any, ...]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(st.sampled_from(values), min_size=1, unique=True).map(tuple)


def matrices() -> st.SearchStrategy[ServingMatrix]:
    """Any axes, in any order."""
    lanes = _subsets((1, 2, 8, 16, 32, 64)).map(lambda counts: tuple(sorted(counts)))
    return st.builds(ServingMatrix, _subsets(WEIGHT_FORMATS), _subsets(KV_CACHES), _subsets(tuple(SPECULATIONS)), lanes)


_SECONDS = st.floats(0.0, 1e6)
_MAYBE = st.none() | _SECONDS
_SPEEDS = st.builds(Speed, st.integers(1, 10**9), st.floats(0.01, 1e6), _MAYBE)
_RECORDS: st.SearchStrategy[Measured] = st.one_of(
    st.builds(
        SpeedMeasured,
        *(st.just(USUAL), st.just(8), _SPEEDS, st.none() | _SPEEDS),
        *(st.none() | st.floats(1, 1e6), _MAYBE, _MAYBE, _SECONDS),
    ),
    st.builds(
        ServerStarted,
        *(st.just(USUAL), _SECONDS, st.just({"weights read": 2.5}), _MAYBE, st.none() | st.integers(0, 10**9), _MAYBE),
    ),
    st.builds(accuracy_of, st.just(USUAL), st.integers(0, 12)),
    st.sampled_from([Refused(USUAL, "why"), Refused(USUAL, "“why”\n", 8), Refused(USUAL, "", None, accuracy=True)]),
)


@st.composite
def measurements(draw: st.DrawFn, matrix: ServingMatrix) -> Measured:
    """Any measurement or refusal of a matrix."""
    drawn = replace(draw(_RECORDS), variant=draw(st.sampled_from(matrix.variants)))
    if isinstance(drawn, SpeedMeasured) or (isinstance(drawn, Refused) and drawn.lanes):
        return replace(drawn, lanes=draw(st.sampled_from(matrix.lanes)))
    return drawn


@st.composite
def matrix_results(draw: st.DrawFn) -> MatrixResults:
    """A matrix with any measurements."""
    matrix = draw(matrices())
    records = draw(st.lists(measurements(matrix), max_size=8))
    return MatrixResults(plan_of(matrix, problems=draw(st.sampled_from(["", "starter"]))), tuple(records))


@dataclass
class TimedServers:
    """Servers that come up and measure in given virtual seconds, fail with a reason given in their place, and count.

    `seconds(variant, what)` is asked for each: `what` is "start", "close", a number of lanes, or None for accuracy.
    """

    seconds: Callable[[ServingVariant, Any], float | str]
    up: int = 0
    starts: list[ServingVariant] = field(default_factory=list)
    taken: list[tuple[ServingVariant, int | None]] = field(default_factory=list)

    @asynccontextmanager
    async def serve(self, variant: ServingVariant) -> AsyncIterator[tuple[_TimedServer, ServerStarted]]:
        """As `serving_variant`."""
        assert self.up == 0, "one server at a time"
        self.starts.append(variant)
        self.up += 1
        try:
            began = asyncio.get_running_loop().time()
            await self.spend(variant, "start")
            yield _TimedServer(self, variant), ServerStarted(variant, asyncio.get_running_loop().time() - began)
        finally:
            closing = asyncio.ensure_future(self._close(variant))
            try:
                await asyncio.shield(closing)
            except asyncio.CancelledError:
                await closing
                raise

    async def _close(self, variant: ServingVariant) -> None:
        await asyncio.sleep(float(self.seconds(variant, "close")))
        self.up -= 1

    async def spend(self, variant: ServingVariant, what: int | str | None) -> float:
        """Take the time, or fail."""
        found = self.seconds(variant, what)
        if isinstance(found, str):
            ended = "the engine's server ended with status 1 at its start: "
            raise EngineError(found if found.startswith("the vLLM server") else f"{ended}{found} (log: /a/log)")
        await asyncio.sleep(found)
        return found


@dataclass
class _TimedServer:
    servers: TimedServers
    variant: ServingVariant

    async def speed(self, lanes: int) -> SpeedMeasured:
        seconds = await self.servers.spend(self.variant, lanes)
        self.servers.taken.append((self.variant, lanes))
        return speed_of(self.variant, lanes, 10.0 * lanes, seconds)

    async def accuracy(self) -> AccuracyMeasured:
        seconds = await self.servers.spend(self.variant, None)
        self.servers.taken.append((self.variant, None))
        return accuracy_of(self.variant, 12, seconds=seconds)


def table_of(values: Mapping[Any, float | str], default: float) -> Callable[[ServingVariant, Any], float | str]:
    """The seconds by what is done, or by (variant, what)."""
    return lambda variant, what: values.get((variant, what), values.get(what, default))
