"""Waiting for the worker to start: an interactive run fails with the reason, a scored run answers all the same."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from agent.errors import EngineError
from submission.protocol import (
    AllowanceGranted,
    RequestSolved,
    SandboxTried,
    SetupChosen,
    SolveRequest,
    WorkerEvent,
    WorkerStarted,
    WorkerWarning,
)
from submission.serving.client import SolveResult, WorkerClient
from submission.serving.connection import WorkerLostError

START_SECONDS = 100.0
LOST = object()  # in place of an event: the worker is gone


class ListedConnection:
    """Hands out the events of a list, each a second after the one before it, then is silent."""

    def __init__(self, events: Sequence[WorkerEvent | object]) -> None:
        self.now = 0.0
        self._events = list(events)

    def clock(self) -> float:
        return self.now

    def send(self, request: SolveRequest) -> None:
        pass

    def restart(self) -> None:
        raise WorkerLostError("the worker cannot be started")

    def receive(self, seconds: float) -> WorkerEvent | None:
        if not self._events or seconds < 1:
            self.now += seconds
            return None
        self.now += 1.0
        event = self._events.pop(0)
        if event is LOST:
            raise WorkerLostError("the worker is gone (exit status 2)")
        assert isinstance(event, WorkerEvent)
        return event


def waited(*events: WorkerEvent | object) -> tuple[list[str], float]:
    """What was told while the worker started, and how long that took."""
    told: list[str] = []
    connection = ListedConnection(events)
    client = WorkerClient(connection, connection.clock, start_seconds=START_SECONDS, tell=told.append)
    client.wait_until_started()
    return told, connection.now


def test_what_the_worker_runs_is_told_as_soon_as_it_is_chosen() -> None:
    started = WorkerStarted("", 0.0)
    events = WorkerWarning("slow disk"), SetupChosen("QwQ"), SandboxTried("42"), started, SetupChosen("never")
    told, seconds = waited(*events)
    assert (told, seconds) == (["warning: slow disk", "QwQ", "42"], 4.0)


def test_a_worker_whose_engine_does_not_start_fails_with_the_engine_s_reason() -> None:
    with pytest.raises(EngineError, match=r"^the engine is dead$"):
        waited(SetupChosen("QwQ"), WorkerStarted("the engine is dead", 0.0))


def test_a_worker_that_exits_fails_with_what_it_said_before() -> None:
    with pytest.raises(EngineError, match=r"no model fits; the worker is gone \(exit status 2\)"):
        waited(WorkerWarning("no model fits"), LOST)


def test_a_silent_worker_is_waited_for_as_long_as_one_may_take_to_start() -> None:
    with pytest.raises(EngineError, match="slow; the worker has not started within 100 s"):
        waited(WorkerWarning("slow"))


def test_a_scored_run_tells_the_choice_and_keeps_a_failure_beside_the_answer() -> None:
    told: list[str] = []
    events = [SetupChosen("QwQ"), SandboxTried("42"), WorkerStarted("the engine is dead", 0.0)]
    events.append(RequestSolved(1, 7, "margin", "1 of 1"))
    connection = ListedConnection(events)
    client = WorkerClient(connection, connection.clock, start_seconds=START_SECONDS, tell=told.append)
    result = SolveResult()
    client.solve(result, "a", "text", problems_left=1, until=50.0)
    assert (told, result.answer, result.warnings) == (["QwQ", "42"], 7, ["the engine is dead"])


@pytest.mark.parametrize("minutes", [0.5, 5, 14, 29])
def test_the_first_problem_waits_for_a_model_that_takes_minutes_to_load(minutes: float) -> None:
    """In virtual time: the gateway's first call has no deadline, but the ones behind it may have one."""
    loading = minutes * 60.0

    class Loading(ListedConnection):
        def receive(self, seconds: float) -> WorkerEvent | None:
            if self.now < loading:
                self.now = min(loading, self.now + seconds)
                return None
            return super().receive(seconds)

        def restart(self) -> None:
            pytest.fail("a worker that loads was replaced")

    connection = Loading([WorkerStarted("", 0.0), AllowanceGranted(1, 300.0), RequestSolved(1, 7, "margin", "1 of 1")])
    client = WorkerClient(connection, connection.clock, start_seconds=1_800.0)
    result = SolveResult()
    client.solve(result, "a", "text", problems_left=1, until=18_000.0)
    assert (result.answer, result.closed, result.warnings) == (7, "margin", [])
    assert connection.now == loading + 3
