"""A worker in virtual time with every failure that the predictor must survive; the solving inside is the real one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.agent import Agent
from agent.config import Config
from agent.engine.base import Chunk, Prompt, SamplingParams
from agent.errors import EngineUnavailableError, JournalError, SandboxError, StreamBrokenError
from agent.events import Event
from agent.policy.budget import TimeBank
from agent.sandbox.base import Session
from submission.protocol import SolveRequest, WorkerEvent, WorkerWarning
from submission.serving.connection import WorkerLostError
from submission.worker.recording import RunRecorder
from submission.worker.worker import PendingRequest, Worker
from tests.support.doubles import ScriptedEngine, ScriptedSandbox
from tests.support.virtual_time import VirtualLoop


class FailingEngine(ScriptedEngine):
    """Answers with `answer` a random number of seconds later, where `fault` allows it."""

    def __init__(self, chance: random.Random, answer: int) -> None:
        super().__init__(lambda prompt, params: "")
        self.chance = chance
        self.answer = answer
        self.fault = ""

    async def ready(self) -> None:
        await asyncio.sleep(1.0)
        if self.fault == "engine dead":
            raise EngineUnavailableError("the engine is dead")

    async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
        assert isinstance(prompt, str)
        if self.fault == "engine breaks":
            yield Chunk("Let me", 2)
            raise StreamBrokenError("broken off", received="Let me")
        if self.fault == "endless":
            await asyncio.sleep(1e6)
        await asyncio.sleep(self.chance.uniform(1, 20))
        if self.fault == "sandbox dead" and "not available" not in prompt:
            yield Chunk("```python\nprint(1)\n```\n", 8)
        yield Chunk(f"\\boxed{{{self.answer}}}", 5, "stop")


class FailingSandbox(ScriptedSandbox):
    async def session(self, seed: int | None = None) -> Session:
        raise SandboxError("no Python can be had")


class FullDisk(RunRecorder):
    def __init__(self, directory: Path, warn: Any, engine: FailingEngine) -> None:
        super().__init__(directory, warn)
        self._engine = engine

    def __call__(self, event: Event) -> None:
        if self._engine.fault == "disk full" and not self._given_up:
            self._give_up(JournalError("no space left on device"))


class VirtualConnection:
    """Runs the worker on a loop of virtual time in the caller's thread. `fault` is what the next problem meets."""

    def __init__(self, config: Config, chance: random.Random, directory: Path, limit: float) -> None:
        self.loop = VirtualLoop()
        self.engine = FailingEngine(chance, 7)
        self.fault = ""
        self.restarts = 0
        self._config = config
        self._directory = directory
        self._limit = limit
        self._events: asyncio.Queue[WorkerEvent] = asyncio.Queue()
        self._requests: asyncio.Queue[PendingRequest] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._hangs = False

    def set_fault(self, fault: str) -> None:
        self.fault = self.engine.fault = fault

    def send(self, request: SolveRequest) -> None:
        if self._task is None or self._task.done():
            raise WorkerLostError("the worker is gone")
        self._hangs = self.fault == "worker hangs"
        self._requests.put_nowait(PendingRequest(request, self.loop.time() + request.seconds))

    def receive(self, seconds: float) -> WorkerEvent | None:
        if self.fault == "worker dies" and self.restarts < 2:
            self._end()
            raise WorkerLostError("the worker is gone")
        if self._hangs:
            self.loop.run_until_complete(asyncio.sleep(seconds))
            return None
        return self.loop.run_until_complete(self._next(seconds))

    def restart(self) -> None:
        self.restarts += 1
        self._end()
        if self.fault == "worker cannot start":
            self.loop.run_until_complete(asyncio.sleep(1))
            raise WorkerLostError("the worker cannot be started")
        self._hangs = False
        self._events, self._requests = asyncio.Queue(), asyncio.Queue()
        bank = TimeBank(self._limit, self.loop.time, spent=self.loop.time())
        agent = Agent(self._config, self.engine, FailingSandbox(), on_engine_event=self._warn)
        recorder = FullDisk(self._directory, self._warn, self.engine)
        worker = Worker(agent, bank, recorder, None, self._events.put_nowait, self.loop.time)
        self._task = self.loop.create_task(worker.answer_requests(self._requests))

    def close(self) -> None:
        self._end()
        self.loop.close()

    def _warn(self, why: str) -> None:
        self._events.put_nowait(WorkerWarning(why))

    async def _next(self, seconds: float) -> WorkerEvent | None:
        try:
            return await asyncio.wait_for(self._events.get(), seconds)
        except TimeoutError:
            return None

    def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                self.loop.run_until_complete(self._task)
            self._task = None
