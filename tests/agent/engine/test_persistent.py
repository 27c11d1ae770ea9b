"""An engine that is away is waited for, as long as it takes."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.base import SamplingParams
from agent.engine.persistent import PersistentEngine
from agent.errors import EngineError, EngineUnavailableError, RequestRefusedError, StreamBrokenError
from tests.support.doubles import ScriptedEngine
from tests.support.virtual_time import run_virtual


class Flaky(ScriptedEngine):
    """Raises the given errors in turn when it is asked whether it serves; then it does."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__(lambda prompt, params: "so 42")
        self.errors: list[Exception] = list(errors)
        self.asked: list[float] = []

    async def ready(self) -> None:
        self.asked.append(asyncio.get_running_loop().time())
        if self.errors:
            raise self.errors.pop(0)


def not_yet(retry_after: float | None = None) -> EngineUnavailableError:
    return EngineUnavailableError("loading model", retry_after=retry_after, answered=True)


def nobody() -> EngineUnavailableError:
    return EngineUnavailableError("connection refused")


async def drain(engine: PersistentEngine) -> None:
    async for _ in engine.stream("prompt", SamplingParams(max_tokens=5)):
        pass


def test_a_server_that_is_still_loading_is_waited_for_at_the_start() -> None:
    raw, told = Flaky(*[not_yet()] * 4), list[str]()
    run_virtual(PersistentEngine(raw, on_event=told.append).start())
    assert len(raw.asked) == 5
    assert told == ["waiting for the engine: loading model"]


def test_a_server_that_loads_for_longer_than_it_may_is_an_error_at_the_start() -> None:
    raw = Flaky(*[not_yet()] * 400)
    with pytest.raises(EngineUnavailableError, match="loading"):
        run_virtual(PersistentEngine(raw, start_seconds=100).start())
    assert raw.asked[-1] == pytest.approx(100)


@pytest.mark.parametrize("error", [nobody(), RequestRefusedError("wrong key"), EngineError("no vLLM")])
def test_an_error_that_waiting_cannot_fix_is_raised_at_once_at_the_start(error: EngineError) -> None:
    raw = Flaky(error)
    with pytest.raises(EngineError, match=str(error)):
        run_virtual(PersistentEngine(raw).start())
    assert raw.asked == [0.0]


def test_later_an_engine_is_waited_for_whether_it_answers_or_not() -> None:
    raw = Flaky(*[nobody(), not_yet()] * 300)
    run_virtual(PersistentEngine(raw).ready())
    assert raw.asked[-1] > 3_600


def test_what_no_wait_can_help_is_raised_later_too() -> None:
    with pytest.raises(RequestRefusedError):
        run_virtual(PersistentEngine(Flaky(nobody(), RequestRefusedError("wrong key"))).ready())


def test_the_server_is_asked_again_when_it_said_and_not_before() -> None:
    raw = Flaky(not_yet(7.0), not_yet(90.0), not_yet())
    run_virtual(PersistentEngine(raw).ready())
    assert raw.asked[:3] == [0.0, 7.0, 97.0]


@pytest.mark.parametrize(
    ("asked", "told"), [(7.2, " (it asks to wait 8 s)"), (0.0, ""), (None, ""), (-3.0, ""), (math.inf, "")]
)
def test_whoever_waits_is_told_how_long_the_server_asks_for(asked: float | None, told: str) -> None:
    events: list[str] = []
    run_virtual(PersistentEngine(Flaky(not_yet(asked)), on_event=events.append).ready())
    assert events == [f"waiting for the engine: loading model{told}"]


@given(st.lists(st.none() | st.floats(0, 100), max_size=12))
def test_the_pauses_are_at_least_what_was_asked_and_at_most_half_a_minute_where_nothing_was(
    asked: Sequence[float | None],
) -> None:
    raw = Flaky(*map(not_yet, asked))
    run_virtual(PersistentEngine(raw).ready())
    pauses = [later - earlier for earlier, later in zip(raw.asked, raw.asked[1:], strict=False)]
    for pause, wanted in zip(pauses, asked, strict=True):
        assert (wanted or 0.0) - 1e-6 <= pause <= max(30.0, wanted or 0.0) + 1e-6


def test_the_engine_is_unavailable_from_the_error_to_its_next_token_and_reports_it_once() -> None:
    told: list[str] = []

    async def scene() -> tuple[str, float, str, float]:
        raw = Flaky(*[nobody()] * 3)
        engine = PersistentEngine(raw, on_event=told.append)
        await engine.recover(nobody(), 0)
        cause, away = engine.unavailable, engine.downtime
        await drain(engine)
        await asyncio.sleep(1_000)
        return cause, away, engine.unavailable, engine.downtime

    cause, away, later, downtime = run_virtual(scene())
    assert cause == "connection refused" and later == ""
    assert away > 1 and downtime == pytest.approx(away + 1)  # a token takes a second here
    assert told == ["waiting for the engine: connection refused", f"the engine is back after {downtime:.0f} s"]


def test_a_stream_that_breaks_once_is_resumed_at_once_without_an_event() -> None:
    told: list[str] = []

    async def scene() -> float:
        engine = PersistentEngine(Flaky(), on_event=told.append)
        await engine.recover(StreamBrokenError("garbled"), 0)
        assert engine.unavailable == ""
        return asyncio.get_running_loop().time()

    assert (run_virtual(scene()), told) == (0.0, [])


def test_all_lanes_wait_for_one_engine_and_each_is_back_when_it_is() -> None:
    raw = Flaky(*[nobody()] * 5)

    async def scene() -> list[float]:
        engine = PersistentEngine(raw)

        async def lane() -> float:
            await engine.recover(nobody(), 0)
            return asyncio.get_running_loop().time()

        return await asyncio.gather(*(lane() for _ in range(16)))

    ends = run_virtual(scene())
    assert max(ends) == min(ends)
    assert len(raw.asked) == 6


def test_a_restart_of_a_server_of_ours_counts_as_downtime() -> None:
    class Restarting(ScriptedEngine):
        async def ready(self) -> None:
            await asyncio.sleep(120)

    async def scene() -> float:
        engine = PersistentEngine(Restarting(lambda prompt, params: ""))
        await engine.ready()
        return engine.downtime

    assert run_virtual(scene()) == pytest.approx(120)
