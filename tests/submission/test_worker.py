"""The real worker in a process of its own: killed, stopped, without a disk, without an engine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent.journal.journal import read_run
from agent.problems.reader import check_problems
from submission.protocol import (
    CHECK_FILE,
    LeadingAnswer,
    SolveRequest,
    StartupPart,
    WorkerSettings,
    WorkerStarted,
    WorkerWarning,
    encode_event,
)
from submission.serving.client import SolveResult, WorkerClient
from submission.serving.connection import WorkerLostError, WorkerProcess
from submission.worker.launch import prepared
from submission.worker.worker import Worker, serve
from tests.support.servers.scripted_server import SILENCE, ScriptedServer, serving

pytestmark = pytest.mark.process

ROOT = Path(__file__).parents[2]
SECONDS = 60.0  # far more than any of this takes


def answer(body: dict[str, Any]) -> str:
    return "\\boxed{42}"


@contextmanager
def worker(
    url: str, folder: Path, *, stand_in: Any = None, load_seconds: Any = 0.0, **changes: Any
) -> Iterator[WorkerProcess]:
    keys = {
        "engine.kind": "http",
        "engine.url": url,
        "sample.family": "qwq-preview",
        "sample.count": 2,
        "engine.retries": 1,
        "stopping.rule": "wait-for-all",
        **changes,
    }
    run, stands_in = str(folder / "run"), stand_in or {}
    told = WorkerSettings("cpu", run, 500.0, overrides=keys, stand_in=stands_in, load_seconds=load_seconds)
    folder.joinpath("run").mkdir(exist_ok=True)

    def command() -> list[str]:
        return [sys.executable, "-m", "submission.worker.launch", "", "", told.after(1.0).to_json()]

    connection = WorkerProcess(command, folder / "worker.log", {**os.environ, "PYTHONPATH": str(ROOT)})
    connection.restart()
    try:
        yield connection
    finally:
        connection.close()


def client_of(connection: WorkerProcess, *, grace: float = 5.0) -> WorkerClient:
    return WorkerClient(connection, time.monotonic, start_seconds=SECONDS, grace_seconds=grace)


def solve(client: WorkerClient, id_: str = "a", *, seconds: float = SECONDS) -> SolveResult:
    result = SolveResult()
    client.solve(result, id_, "What is 6 times 7?", problems_left=3, until=time.monotonic() + seconds)
    return result


def test_a_worker_solves_and_records_a_run_that_can_be_replayed(tmp_path: Path) -> None:
    with serving(ScriptedServer(answer)) as server, worker(server.url, tmp_path) as connection:
        client = client_of(connection)
        results = [solve(client, id_) for id_ in ("a", "b")]
    assert [(result.answer, result.warnings) for result in results] == [(42, []), (42, [])]
    record = read_run(tmp_path / "run")
    assert [problem.id for problem in record.problems] == ["a", "b"]
    assert {id_: solution.answer for id_, solution in record.solved.items()} == {"a": 42, "b": 42}


def test_a_run_whose_first_samples_run_no_code_is_told_so_once(tmp_path: Path) -> None:
    changes = {"sample.count": 4, "stopping.rule": "wait-for-all"}
    with serving(ScriptedServer(answer)) as server, worker(server.url, tmp_path, **changes) as connection:
        client = client_of(connection)
        told = [solve(client, id_).warnings for id_ in "abcd"]
    assert [len(warnings) for warnings in told] == [0, 0, 1, 0]
    assert "none of 12 samples at the first 3 problems ran Python" in told[2][0]
    assert [warning.text for warning in read_run(tmp_path / "run").warnings] == told[2]


def test_that_a_stand_in_runs_no_code_is_recorded_and_no_warning_of_the_notebooks(tmp_path: Path) -> None:
    keys = {"sample.count": 4, "stopping.rule": "wait-for-all"}
    with serving(ScriptedServer(answer)) as server, worker(server.url, tmp_path, stand_in=keys) as connection:
        client = client_of(connection)
        assert [solve(client, id_).warnings for id_ in "abcd"] == [[], [], [], []]
    assert len(read_run(tmp_path / "run").warnings) == 1


def test_the_parts_of_the_start_are_told_with_their_seconds(tmp_path: Path) -> None:
    with serving(ScriptedServer(answer)) as server, worker(server.url, tmp_path, load_seconds=0.2) as connection:
        told: list[StartupPart] = []
        while not isinstance(event := connection.receive(SECONDS), WorkerStarted):
            assert not isinstance(event, WorkerWarning | None)
            told += [event] if isinstance(event, StartupPart) else []
    engine = ["loading, as a rehearsal plays it", "engine, with its weights", "warm-up", "check of the model"]
    assert [part.part for part in told] == ["wheels", "Python and imports", "choice of the model", *engine]
    assert all(part.seconds >= 0 for part in told) and told[3].seconds == 0.2
    assert event == WorkerStarted("", event.at) and event.at <= time.monotonic()


def test_a_killed_worker_is_replaced_and_resumes_with_what_was_recorded(tmp_path: Path) -> None:
    slow = ScriptedServer(lambda body: answer(body) if len(slow.bodies) != 2 else SILENCE)
    with serving(slow) as server, worker(server.url, tmp_path) as connection:
        process = connection._process
        assert process is not None
        killed = False
        receive = connection.receive

        def kill_after_the_first_vote(seconds: float) -> Any:
            nonlocal killed
            event = receive(seconds)
            if isinstance(event, LeadingAnswer) and not killed:
                killed = True
                os.kill(process.pid, signal.SIGKILL)
            return event

        connection.receive = kill_after_the_first_vote  # type: ignore[method-assign]
        result = solve(client_of(connection))
    assert killed
    assert result.answer == 42
    assert "the worker is gone" in result.warnings[0]
    record = read_run(tmp_path / "run")
    assert [sample.index for sample in record.samples if sample.answer == 42] in ([0, 1], [1, 0])
    assert not record.engine_starts  # a server at a URL is none of ours


def test_a_worker_that_hangs_is_replaced_in_time(tmp_path: Path) -> None:
    with serving(ScriptedServer(answer)) as server, worker(server.url, tmp_path) as connection:
        client = client_of(connection)
        assert solve(client).answer == 42
        process = connection._process
        assert process is not None
        os.kill(process.pid, signal.SIGSTOP)
        began = time.monotonic()
        result = solve(client, "b", seconds=1.0)
        assert time.monotonic() - began < 30
        assert (result.answer, result.closed) == (None, "watchdog")
        assert not psutil.pid_exists(process.pid)
        assert solve(client, "c").answer == 42


def test_a_worker_that_is_lost_in_its_check_is_replaced_by_one_that_does_not_check(tmp_path: Path) -> None:
    asked = [json.dumps(problem.text)[1:-1] for problem in check_problems()]

    def is_check(body: dict[str, Any]) -> bool:
        return any(text in json.dumps(body) for text in asked)

    server = ScriptedServer(lambda body: SILENCE if is_check(body) else answer(body), sound=False)
    changes = {"engine.check": "always"}
    with serving(server), worker(server.url, tmp_path, **changes) as connection:
        begun = tmp_path / "run" / CHECK_FILE
        until = time.monotonic() + SECONDS
        while not any(map(is_check, server.bodies)):
            assert time.monotonic() < until
            connection.receive(0.1)
        assert begun.exists()
        process = connection._process
        assert process is not None
        os.kill(process.pid, signal.SIGKILL)
        result = solve(client_of(connection))
    assert result.answer == 42
    assert "the worker is gone" in result.warnings[0]
    assert result.warnings[1].endswith("was lost before its model was checked, so the model is not checked")


def test_a_worker_whose_check_has_ended_leaves_no_sign_that_it_began(tmp_path: Path) -> None:
    changes = {"engine.check": "always"}
    with serving(ScriptedServer(answer, sound=False)) as server, worker(server.url, tmp_path, **changes) as it:
        result = solve(client_of(it))
        assert (result.answer, "failed its check" in result.warnings[0]) == (42, True)
        assert not (tmp_path / "run" / CHECK_FILE).exists()


def test_nothing_of_a_worker_outlives_the_notebook(tmp_path: Path) -> None:
    with serving(ScriptedServer(answer)) as server, worker(server.url, tmp_path) as connection:
        assert solve(client_of(connection)).answer == 42
        process = connection._process
        assert process is not None and process.stdin is not None
        process.stdin.close()
        assert process.wait(SECONDS) == 0


def test_an_engine_that_is_not_there_is_reported_and_costs_no_answer(tmp_path: Path) -> None:
    with worker("http://127.0.0.1:9", tmp_path) as connection:
        result = solve(client_of(connection, grace=20.0), seconds=40.0)
    assert result.answer is None
    assert result.closed == "engine error"
    assert "127.0.0.1:9" in result.warnings[0]


def test_a_configuration_that_is_not_valid_is_reported(tmp_path: Path) -> None:
    with worker("", tmp_path, **{"sample.number": 3}) as connection:
        result = solve(client_of(connection))
    assert any("sample.number: unknown key" in warning for warning in result.warnings)
    assert result.closed == "worker lost"


def test_a_record_that_cannot_be_written_is_reported_and_costs_no_answer(tmp_path: Path) -> None:
    (tmp_path / "run" / "journal.jsonl").mkdir(parents=True)
    with serving(ScriptedServer(answer)) as server, worker(server.url, tmp_path) as connection:
        results = [solve(client_of(connection), id_) for id_ in ("a", "b")]
    assert [result.answer for result in results] == [42, 42]
    assert [warning[:21] for result in results for warning in result.warnings] == ["not recorded any more"]


def test_a_worker_that_cannot_be_started_is_an_error_of_the_connection(tmp_path: Path) -> None:
    connection = WorkerProcess(lambda: [str(tmp_path / "nothing")], tmp_path / "log", {})
    with pytest.raises(WorkerLostError, match="cannot be started"):
        connection.restart()
    with pytest.raises(WorkerLostError, match="not running"):
        connection.send(SolveRequest(1, "a", "text", 1, 1.0))


def test_lines_that_are_no_events_do_not_matter(tmp_path: Path) -> None:
    lines = ["{torn", "7", "null", "[1]", "{}", "Loading wheels", '{"event": "x"}', encode_event(WorkerWarning("x"))]
    torn = f"import sys; print({chr(10).join(lines)!r}, flush=True); sys.stdin.read()"
    connection = WorkerProcess(lambda: [sys.executable, "-c", torn], tmp_path / "log", dict(os.environ))
    connection.restart()
    try:
        assert connection.receive(SECONDS) == WorkerWarning("x")
        assert connection.receive(0.0) is None
    finally:
        connection.close()


def test_what_a_worker_runs_ends_with_it(tmp_path: Path) -> None:
    runs = "import subprocess, sys; child = subprocess.Popen(['sleep', '60']); "
    tells = 'print(\'{"event": "warning", "why": "%d"}\' % child.pid, flush=True); child.wait()'
    connection = WorkerProcess(lambda: [sys.executable, "-c", runs + tells], tmp_path / "log", dict(os.environ))
    connection.restart()
    event = connection.receive(SECONDS)
    assert isinstance(event, WorkerWarning)
    child = psutil.Process(int(event.why))
    connection.close()
    connection.close()
    _, alive = psutil.wait_procs([child], timeout=10)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_without_wheels_the_python_that_runs_is_used(tmp_path: Path) -> None:
    assert prepared("", tmp_path) == Path(sys.executable)


async def test_a_worker_that_can_answer_no_more_requests_exits_instead_of_staying_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(self: Worker, requests: object) -> None:
        raise KeyError("unforeseen")

    async def wait_for_requests(requests: object) -> None:
        await asyncio.sleep(3_600)

    monkeypatch.setattr(Worker, "answer_requests", broken)
    monkeypatch.setattr("submission.worker.worker._read_requests", wait_for_requests)
    keys = {"engine.kind": "http", "engine.url": "http://127.0.0.1:1"}
    with pytest.raises(KeyError, match="unforeseen"):
        async with asyncio.timeout(SECONDS):
            await serve(WorkerSettings("cpu", str(tmp_path), 500.0, overrides=keys), lambda event: None)
