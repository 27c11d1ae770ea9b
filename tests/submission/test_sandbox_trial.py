"""The first cell in the worker's sandbox: what is said of it, and what is said where none can be run."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import cast

import pytest

from agent.errors import SandboxError
from agent.policy.planning.plan import Planner, ProblemPlan, RunSoFar
from agent.policy.planning.planners import PLANNERS
from agent.policy.planning.price import plan_by_price
from agent.policy.settings import BudgetConfig
from agent.sandbox.base import Limits
from agent.sandbox.forkserver import ForkServerSandbox
from submission.protocol import SandboxTried, WorkerEvent, WorkerSettings, WorkerStarted
from submission.worker.sandbox_trial import try_sandbox
from submission.worker.worker import serve
from tests.support.servers.scripted_server import ScriptedServer, serving

pytestmark = pytest.mark.process


async def tried(sandbox: ForkServerSandbox) -> str:
    try:
        return await try_sandbox(sandbox)
    finally:
        await sandbox.close()


async def test_a_sandbox_that_works_says_its_layers_and_how_long_a_cell_took() -> None:
    text = await tried(ForkServerSandbox(warm=0, without=frozenset({"ipc"})))
    assert re.fullmatch(r"Python sandbox: \d of 10 layers, a cell ran in [1-9]\d* ms", text)


@pytest.mark.parametrize(
    ("limits", "without", "why"),
    [
        (Limits(), {"seccomp"}, r"this system lacks seccomp \(switched off\)"),
        (Limits(output_bytes=1), set(), "its first cell ended with status error and printed"),
    ],
)
async def test_a_sandbox_in_which_no_cell_runs_says_why(limits: Limits, without: set[str], why: str) -> None:
    with pytest.raises(SandboxError, match=why):
        await tried(ForkServerSandbox(limits, warm=0, without=frozenset(without)))


async def events_of_start(folder: Path, **keys: object) -> list[WorkerEvent]:
    """What a worker says until it has started."""
    events: list[WorkerEvent] = []
    started = asyncio.Event()

    def send(event: WorkerEvent) -> None:
        events.append(event)
        if isinstance(event, WorkerStarted):
            started.set()

    with serving(ScriptedServer(lambda body: "42")) as server:
        engine = {"engine.kind": "http", "engine.url": server.url}
        serves = asyncio.create_task(serve(WorkerSettings("cpu", str(folder), 500.0, overrides=engine | keys), send))
        await asyncio.wait([serves, asyncio.ensure_future(started.wait())], return_when=asyncio.FIRST_COMPLETED)
        serves.cancel()
        await asyncio.gather(serves, return_exceptions=True)
    return events


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests never come."""

    async def wait_for_requests(requests: object) -> None:
        await asyncio.sleep(3_600)

    monkeypatch.setattr("submission.worker.worker._read_requests", wait_for_requests)


@pytest.mark.usefixtures("silent")
async def test_a_worker_tells_of_its_sandbox_and_makes_a_plan_before_it_has_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = []

    def plan(run: RunSoFar, budget: BudgetConfig) -> ProblemPlan:
        planned.append(run)
        return plan_by_price(run, budget)

    monkeypatch.setitem(cast(dict[str, Planner], PLANNERS), "price", Planner(plan))
    events = await events_of_start(tmp_path)
    assert len(planned) == 1, "no problem has come: the first one finds imported what plans need"
    (trial,) = (event for event in events if isinstance(event, SandboxTried))
    assert re.search(r"of 10 layers, a cell ran in", trial.text)
    assert isinstance(events[-1], WorkerStarted) and events[-1].failure == ""


@pytest.mark.usefixtures("silent")
async def test_a_worker_whose_samples_run_no_code_tries_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("submission.worker.worker.try_sandbox", None)
    events = await events_of_start(tmp_path, **{"sample.tools": False})
    assert SandboxTried("Python sandbox: not used, as samples run no code") in events
    assert isinstance(events[-1], WorkerStarted) and events[-1].failure == ""


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("error", [SandboxError("no seccomp"), OSError(24, "Too many open files"), MemoryError()])
async def test_a_worker_without_a_sandbox_starts_and_says_so(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(sandbox: ForkServerSandbox) -> str:
        raise error

    monkeypatch.setattr("submission.worker.worker.try_sandbox", fail)
    *_, started = await events_of_start(tmp_path)
    assert isinstance(started, WorkerStarted)
    assert started.failure == f"samples cannot run Python: {str(error) or 'MemoryError'}"
