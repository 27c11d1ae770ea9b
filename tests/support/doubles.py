"""A scripted engine and sandbox for tests of the rules in virtual time; the real ones are tested where they live."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

from agent.config import Config, load_config
from agent.engine.base import Chunk, Engine, Prompt, SamplingParams
from agent.engine.persistent import PersistentEngine
from agent.errors import EngineUnavailableError, StreamBrokenError
from agent.events import (
    EngineEvent,
    Event,
    Listener,
    ProblemSolved,
    ProblemStarted,
    SampleEnded,
    TextGenerated,
    TextInserted,
    ToolRan,
)
from agent.lane.runtime import Runtime
from agent.sandbox.base import Session
from agent.types import Problem, Sample, Solution, ToolRun, ToolStatus

BREAK = "\0break"  # in a reply: the stream breaks off here

PROBLEM = Problem("p1", "What is 6 times 7?", 42)


@dataclass
class ScriptedEngine:
    """Answers prompt by prompt from `reply`, one word a token, `seconds` a token."""

    reply: Callable[[str, SamplingParams], str]
    seconds: float = 1.0
    prompts: list[str] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    running: int = 0
    restarts: int = 0
    down: bool = False

    async def ready(self) -> None:
        if self.down:
            raise EngineUnavailableError("the engine is down")
        self.restarts += 1

    async def warm(self, prompt: str) -> None:
        pass

    def release(self, prompt: str) -> None:
        self.released.append(prompt)

    async def stream(self, prompt: Prompt, params: SamplingParams) -> AsyncGenerator[Chunk, None]:
        assert isinstance(prompt, str)
        self.prompts.append(prompt)
        self.running += 1
        try:
            words = self.reply(prompt, params).split(" ")
            for count, word in enumerate(words[: params.max_tokens]):
                await asyncio.sleep(self.seconds)
                if self.down:
                    raise EngineUnavailableError("the engine went down", received=" ".join(words[:count]))
                if word.startswith(BREAK):
                    raise StreamBrokenError("broken", received=" ".join(words[:count]))
                yield Chunk(word if count == 0 else f" {word}", 1)
            yield Chunk("", 0, "length" if len(words) > params.max_tokens else "stop")
        finally:
            self.running -= 1

    async def tokenize(self, text: str) -> list[int] | None:
        return None

    async def count_tokens(self, text: str) -> int | None:
        return None

    @property
    def context_tokens(self) -> int | None:
        return None

    async def close(self) -> None:
        pass


@dataclass
class ScriptedSandbox:
    """Every cell prints `output` and ends with `status` after `seconds`; counts what is open."""

    output: str = "42"
    seconds: float = 1.0
    status: ToolStatus = ToolStatus.OK
    open_sessions: int = 0
    cells: list[str] = field(default_factory=list)

    async def session(self, seed: int | None = None) -> Session:
        self.open_sessions += 1
        return _ScriptedSession(self)

    async def close(self) -> None:
        pass


@dataclass
class _ScriptedSession:
    sandbox: ScriptedSandbox

    async def run(self, code: str, timeout: float | None = None) -> ToolRun:  # noqa: ASYNC109
        await asyncio.sleep(self.sandbox.seconds)
        self.sandbox.cells.append(code)
        return ToolRun(code, self.sandbox.output, self.sandbox.status, self.sandbox.seconds)

    async def close(self) -> None:
        self.sandbox.open_sessions -= 1


@dataclass
class Recorder:
    """A listener that keeps everything."""

    started: list[tuple[Problem, str, float, int]] = field(default_factory=list)
    tokens: int = 0
    texts: list[tuple[int, str, bool]] = field(default_factory=list)
    tool_runs: list[ToolRun] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    solutions: list[Solution] = field(default_factory=list)
    engine_events: list[str] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        match event:
            case ProblemStarted(problem, prompt, allowance, lanes):
                self.started.append((problem, prompt, allowance, lanes))
            case TextGenerated(_, index, text, tokens):
                self.tokens += tokens
                self.texts.append((index, text, False))
            case TextInserted(_, index, text):
                self.texts.append((index, text, True))
            case ToolRan(_, _, tool_run):
                self.tool_runs.append(tool_run)
            case SampleEnded(sample):
                self.samples.append(sample)
            case ProblemSolved(solution):
                self.solutions.append(solution)
            case EngineEvent(text):
                self.engine_events.append(text)


def config_with(**keys: object) -> Config:
    """The cpu profile for a model that starts with prose, all lanes started, closed by a margin, with keys set.

    `sample__count=4` sets `sample.count`.
    """
    plain: dict[str, object] = {
        "sample.family": "qwq-preview",
        "sample.accept_printed_answer": False,
        "sample.max_failed_tool_runs": 0,
        "stopping.rule": "margin",
        "voting.forced_weight": 0.5,
        "voting.printed_trivial_weight": 1.0,
        "budget.planner": "spread",
        "budget.spread": 1.5,
    }
    return load_config("cpu", plain | {key.replace("__", "."): value for key, value in keys.items()})


def runtime(
    engine: Engine | PersistentEngine,
    config: Config | None = None,
    *,
    sandbox: ScriptedSandbox | None = None,
    emit: Listener | None = None,
) -> Runtime:
    """A runtime on the running loop's clock."""
    return Runtime(
        config or config_with(),
        engine if isinstance(engine, PersistentEngine) else PersistentEngine(engine),
        sandbox or ScriptedSandbox(),
        emit or Recorder(),
        asyncio.get_running_loop().time,
    )
