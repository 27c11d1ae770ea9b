"""The worker's end of the worker protocol: reads requests from standard input, solves them, and writes events.

The notebook's own process keeps to the packages of Kaggle's image; this one has the agent's, and the notebook survives
whatever happens to it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from agent.agent import Agent
from agent.errors import AgentError, EngineError, InputError
from agent.events import EngineEvent, Event, RunWarning
from agent.gateway_run import next_allowance, solve_persistently
from agent.hardware.detect import find_gpus
from agent.journal.journal import RunRecord
from agent.journal.run_directory import ENGINE_LOG
from agent.models.own_file import own_model_file
from agent.policy.budget import TimeBank, grant
from agent.sandbox.forkserver import ForkServerSandbox
from agent.types import Problem, Solution
from submission.compile_cache import use_cache
from submission.protocol import (
    CHECK_FILE,
    LAUNCHED_VARIABLE,
    AllowanceGranted,
    RequestSolved,
    SandboxTried,
    SetupChosen,
    SolveRequest,
    StartupPart,
    WorkerEvent,
    WorkerSettings,
    WorkerStarted,
    WorkerWarning,
    decode_request,
    encode_event,
)
from submission.worker.recording import RunRecorder, VoteWatch, record_of
from submission.worker.sandbox_trial import try_sandbox
from submission.worker.setup import Setup, choose_setup

SendEvent = Callable[[WorkerEvent], None]


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """A request, and by when on the worker's clock its answer is wanted."""

    request: SolveRequest
    until: float


@dataclass(frozen=True, slots=True)
class Worker:
    """Solves one problem after the other; `before` is what an earlier worker recorded.

    `rehearsed` is whether a rehearsal's small model answers: that it runs no code says nothing. Its engine plays to
    load for `load_seconds` more.
    The file `check_begun` is there from the start of the engine until its model is checked, and stays if the worker is
    lost meanwhile. It is None if no check is made.
    """

    agent: Agent
    bank: TimeBank
    recorder: RunRecorder
    before: RunRecord | None
    send: SendEvent
    clock: Callable[[], float]
    check_begun: Path | None = None
    solved: dict[str, Solution] = field(default_factory=dict)
    rehearsed: bool = False
    load_seconds: float = 0.0

    async def answer_requests(self, requests: asyncio.Queue[PendingRequest]) -> None:
        """Start the engine, then answer requests until cancelled."""
        await self._start()
        while True:
            await self._solve(await requests.get())

    async def _start(self) -> None:
        trial = asyncio.create_task(self._prepare())
        try:
            failure = await self._start_engine()
            failures = [failure or self.agent.gpu_mismatch, await trial]
        finally:
            trial.cancel()
        self.send(WorkerStarted("; ".join(filter(None, failures)), self.clock()))

    async def _prepare(self) -> str:
        """While the model loads, try the sandbox, and make a plan, which imports what plans need; as `_try_sandbox`."""
        failure = await self._try_sandbox()
        grant(self.bank.left, 1, self.agent.config)
        return failure

    async def _try_sandbox(self) -> str:
        """Say how a first cell went; returns why no code can be run, "" if it can or none is wanted."""
        sandbox = self.agent.sandbox
        if not self.agent.config.sample.runs_code or not isinstance(sandbox, ForkServerSandbox):
            self.send(SandboxTried("Python sandbox: not used, as samples run no code"))
            return ""
        try:
            self.send(SandboxTried(await try_sandbox(sandbox)))
        except Exception as error:  # noqa: BLE001  # a scored run continues without Python
            return f"samples cannot run Python: {str(error) or type(error).__name__}"
        return ""

    async def _start_engine(self) -> str:
        """Start it and check its model; returns why no good answers can be expected, "" if they can."""
        failure = ""
        if self.check_begun is not None:
            with suppress(OSError):
                self.check_begun.touch()
        await asyncio.sleep(self.load_seconds)
        try:
            await self.agent.start()
        except EngineError as error:  # the run continues also with a model that failed its check
            failure = str(error)
        if self.check_begun is not None:
            with suppress(OSError):
                self.check_begun.unlink()
        if self.agent.checked is not None:
            self.recorder(self.agent.checked)
        if self.agent.started is not None:
            self.recorder(self.agent.started)
        if self.load_seconds:
            self.send(StartupPart("loading, as a rehearsal plays it", self.load_seconds))
        for part, seconds in self.agent.start_parts.items():
            self.send(StartupPart(part, seconds))
        return failure

    async def _solve(self, pending: PendingRequest) -> None:
        request = pending.request
        problem = Problem(request.id, request.problem)
        known = self.solved.get(problem.id)
        if known is None:
            known = self.solved[problem.id] = await self._solve_problem(problem, pending)
            if known.failure:
                self.send(WorkerWarning(known.failure))
        self.send(RequestSolved(request.number, known.answer, str(known.stop), votes_of(known)))

    async def _solve_problem(self, problem: Problem, pending: PendingRequest) -> Solution:
        request, config = pending.request, self.agent.config
        self.recorder.add_problem(problem, config)
        listeners = (VoteWatch(config, request.number, self.send), self.recorder, self._warn_of)
        with self.agent.begin(listeners, bank=self.bank) as run:
            allowance = next_allowance(
                self.bank,
                config,
                list(self.solved.values()),
                problems_left=request.problems_left,
                at_most=pending.until - self.clock(),
                expected_speed=run.runtime.expected_speed,
            )
            self.send(AllowanceGranted(request.number, allowance.seconds + allowance.extension_seconds))
            prior = self.before.samples_of(problem.id) if self.before else ()
            return await solve_persistently(problem, run.runtime, allowance, prior)

    def _warn_of(self, event: Event) -> None:
        if isinstance(event, EngineEvent) or (isinstance(event, RunWarning) and not self.rehearsed):
            self.send(WorkerWarning(event.text))


def votes_of(solution: Solution) -> str:
    """What the answer rests on, in a few words."""
    leader = solution.tally.leader
    backers = leader.samples if leader else 0
    return f"{backers} of {solution.samples_finished} samples, {solution.tool_runs} tool runs"


async def serve(settings: WorkerSettings, send: SendEvent) -> None:
    """Open what the settings name and answer requests until standard input closes.

    Raises AgentError for settings that are not valid or a model that is missing.
    """
    loop = asyncio.get_running_loop()
    setup = _chosen(settings, send, loop.time)
    directory = Path(settings.run_dir)

    def warn(why: str) -> None:
        send(WorkerWarning(why))

    def engine_event_between_problems(text: str) -> None:
        warn(text)
        recorder(EngineEvent(text, bank.spent))

    bank = TimeBank(settings.limit_seconds, loop.time, spent=settings.spent_seconds)
    recorder = RunRecorder(directory, warn)
    before = record_of(directory)
    checks = before.checks if before else ()  # by the worker that this one replaces
    lost = (directory / CHECK_FILE).exists()
    if lost:
        warn("the worker before this one was lost before its model was checked, so the model is not checked")
    check_begun = None if checks or lost else directory / CHECK_FILE
    agent = Agent.open(
        setup.profile,
        {
            "budget.time_limit_seconds": settings.limit_seconds,
            **setup.overrides,
            **(checks[-1].changed if checks else {}),
        },
        log=directory / ENGINE_LOG,
        fetch=own_model_file,
        check=None if check_begun else False,
        on_engine_event=engine_event_between_problems,
    )
    use_cache(os.environ, agent.config.vllm.environment)
    requests: asyncio.Queue[PendingRequest] = asyncio.Queue()
    solved = before.solved if before else {}
    rehearsed, load_seconds = bool(settings.stand_in), settings.load_seconds
    worker = Worker(agent, bank, recorder, before, send, loop.time, check_begun, solved, rehearsed, load_seconds)
    answering = asyncio.create_task(worker.answer_requests(requests))
    reading = asyncio.create_task(_read_requests(requests))
    try:
        # A worker that can answer no more exits, and is replaced; a silent one would be waited for.
        done, _ = await asyncio.wait((answering, reading), return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        answering.cancel()
        reading.cancel()
        await asyncio.gather(answering, reading, return_exceptions=True)
        await agent.close()
        recorder.close()


def _chosen(settings: WorkerSettings, send: SendEvent, clock: Callable[[], float]) -> Setup:
    """The setup, which the notebook is told. Raises ConfigError if no model suits."""
    began = clock()
    setup = choose_setup(settings, find_gpus())
    send(SetupChosen(setup.text))
    send(StartupPart("choice of the model", clock() - began))
    return setup


async def _read_requests(requests: asyncio.Queue[PendingRequest]) -> None:
    reader = asyncio.StreamReader(limit=1 << 24)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        request = decode_request(line)
        await requests.put(PendingRequest(request, loop.time() + request.seconds))


def settings_given(arguments: Sequence[str]) -> WorkerSettings:
    """The settings on the worker's command line. Raises InputError unless they are its only argument."""
    try:
        (text,) = arguments
        return WorkerSettings.from_json(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"the worker is given other arguments than its settings: {error}; start it with the JSON text that "
            "WorkerSettings.to_json writes, and nothing else"
        ) from error


def main() -> int:
    """Serve until standard input closes; returns the exit status."""
    # Standard output is kept for the events, so whatever else prints goes to standard error.
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def send(event: WorkerEvent) -> None:
        print(encode_event(event), file=events, flush=True)

    try:
        settings = settings_given(sys.argv[1:])
        if launched := os.environ.get(LAUNCHED_VARIABLE):
            send(StartupPart("Python and imports", time.monotonic() - float(launched)))
        asyncio.run(serve(settings, send))
        return 0
    except AgentError as error:
        send(WorkerWarning(str(error)))
        print(f"error: {error}", file=sys.stderr)
        return 2
