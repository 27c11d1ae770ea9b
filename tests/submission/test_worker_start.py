"""What the worker records of the start of its server, in virtual time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.agent import Agent
from agent.config import Config
from agent.engine.base import Engine
from agent.events import EngineStarted, ServerMemory
from agent.journal.journal import read_run
from agent.policy.budget import TimeBank
from agent.types import Problem
from submission.protocol import StartupPart, WorkerEvent, WorkerStarted
from submission.worker.recording import RunRecorder
from submission.worker.worker import Worker
from tests.agent.health.test_gate import Machine, Server, vllm_config
from tests.support.doubles import ScriptedSandbox
from tests.support.virtual_time import run_virtual

TOLD = EngineStarted({"weights read": 93.1}, ServerMemory(31.24))


def start_of(engine: Engine) -> EngineStarted | None:
    """What a server of ours tells once it is up, as a VllmEngine does."""
    return TOLD if isinstance(engine, Server) and engine.restarts else None


def started_worker(machine: Machine, directory: Path) -> list[WorkerEvent]:
    """What a worker says whose engine starts on this machine, whose check may start others; it then has a problem."""
    said: list[WorkerEvent] = []
    config = vllm_config()

    async def main() -> None:
        clock = asyncio.get_running_loop().time
        agent = Agent(config, machine.open(config), ScriptedSandbox(), on_engine_event=machine.said.append)
        agent._service.reopen = machine.open
        recorder = RunRecorder(directory, machine.said.append)
        worker = Worker(agent, TimeBank(3_600.0, clock), recorder, None, said.append, clock)
        await worker._start()
        recorder.add_problem(Problem("a", "What?"), agent.config)
        recorder.close()

    run_virtual(main())
    return said


@pytest.mark.parametrize("again", [True, False], ids=["passes", "no server comes up again"])
def test_the_first_start_is_journalled_whatever_the_check_makes_of_the_server(
    again: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.engine.configured.start_of", start_of)
    monkeypatch.setattr("agent.health.service.find_gpus", lambda: ())
    machine = Machine(sound=lambda config: again)

    def starts(config: Config) -> float | None:
        return None if machine.servers else 100.0

    machine.starts = starts
    said = started_worker(machine, tmp_path / "run")
    assert (len(machine.servers) > 1) is not again
    (ended,) = (event for event in said if isinstance(event, WorkerStarted))
    assert bool(ended.failure) is not again
    (started,) = read_run(tmp_path / "run").engine_starts
    parts = [(event.part, event.seconds) for event in said if isinstance(event, StartupPart)]
    assert list(started.parts.items()) == parts
    assert [part for part, _ in parts] == ["weights read", "warm-up", "check of the model"]
    assert started.memory == TOLD.memory
