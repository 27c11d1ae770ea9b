"""A served variant, measured: its start, its speed with so many lanes, its accuracy."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import aiohttp

from agent.agent import Agent
from agent.config import Config, override_config
from agent.engine.base import OnEvent
from agent.engine.http import api_url
from agent.engine.persistent import PersistentEngine
from agent.engine.process import free_port
from agent.engine.vllm.server import VllmEngine
from agent.errors import EngineError
from agent.hardware.detect import check_profile, find_gpus
from agent.hardware.devices import Device
from agent.journal.journal import RunRecord, read_run
from agent.problems.reader import practice_problems
from agent.types import Problem
from tools.bench.clients import AMPLE_SECONDS, Draw, Speed, through_the_agent, through_vllms_client, whole_lanes
from tools.bench.delegating_engine import FirstTokenWatch
from tools.bench.gpu.matrix import ServingVariant
from tools.bench.gpu.results import AccuracyMeasured, ProblemVotes, ServerStarted, SpeedMeasured
from tools.bench.gpu.server_facts import DraftCounts, draft_counts
from tools.bench.hardware import roofline

SPEED_RUN = "last-speed"
"""The folder of the last speed: the agent's run, and what vLLM's client read and wrote."""
ACCURACY_RUNS = "accuracy"
"""The folder of the runs of accuracy, one for each variant by its slug."""
_WARM_UP_TOKENS = 8


@dataclass(frozen=True, slots=True)
class MeasurementSettings:
    """What all variants are measured with.

    Each lane of a speed has at most `tokens`; accuracy is that of the `problems`. The hardware bounds them all, and
    logs, runs and what the clients leave behind are in the `folder`.
    """

    device: Device | None
    tokens: int
    problems: Sequence[Problem]
    folder: Path


class ServedVariant:
    """A variant whose server is up."""

    def __init__(
        self,
        variant: ServingVariant,
        config: Config,
        engine: FirstTokenWatch,
        settings: MeasurementSettings,
        say: OnEvent,
    ) -> None:
        self._variant = variant
        self._config = config
        self._watch = engine
        self._engine = PersistentEngine(engine)
        self._settings = settings
        self._say = say
        self._folder = settings.folder / SPEED_RUN
        self._url = api_url(f"http://127.0.0.1:{config.engine.port}")

    async def speed(self, lanes: int) -> SpeedMeasured:
        """Draw so many lanes of one hard problem: by the agent, then as many tokens by vLLM's client.

        Before that come lanes of a few tokens, which no figure counts. Raises EngineError if the server fails.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        tokens = self._settings.tokens
        config = speed_config(self._config, lanes, tokens)
        problem = practice_problems()[-1]
        await self._draw(override_config(config, {"sample.max_tokens": min(tokens, _WARM_UP_TOKENS)}), problem)
        self._watch.seconds.clear()
        before = await self._draft_counts()
        draw, agent = await self._draw(config, problem)
        drafted = (await self._draft_counts()).since(before)
        first_token = median(self._watch.seconds) if self._watch.seconds else None
        vllm = await self._again(draw)
        return SpeedMeasured(
            self._variant,
            lanes,
            Speed(agent.tokens, agent.seconds, first_token),
            vllm,
            roofline(config, self._settings.device, draw.mean_context),
            drafted.acceptance,
            drafted.accepted_length,
            clock() - began,
        )

    async def accuracy(self) -> AccuracyMeasured:
        """Let the agent solve the problems, as its profile does but without haste, and record the run.

        Raises EngineError if the server fails.
        """
        clock = asyncio.get_running_loop().time
        began = clock()
        run = self._settings.folder / ACCURACY_RUNS / self._variant.slug
        shutil.rmtree(run, ignore_errors=True)  # what a measurement that was broken off has left
        agent = Agent(accuracy_config(self._config), self._engine)
        try:
            await agent.solve_all(self._settings.problems, run_dir=run)
        finally:
            await agent.sandbox.close()
        await self._watch.ready()  # the votes of a problem may be enough without the lanes that a crash ended
        record = read_run(run)
        tokens = sum(sample.tokens for sample in record.samples)
        return AccuracyMeasured(self._variant, problem_votes(record), tokens, clock() - began)

    async def _draw(self, config: Config, problem: Problem) -> tuple[Draw, Speed]:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        run = self._folder / "run"
        speed, samples = await through_the_agent(config, self._engine, run, problem)
        if failure := next((sample.failure for sample in read_run(run).samples if sample.failure), ""):
            raise EngineError(failure)
        if len(samples) < config.sample.count:
            raise EngineError(f"only {len(samples)} of {config.sample.count} lanes drew a token")
        return Draw(config, problem, samples, self._url), speed

    async def _again(self, draw: Draw) -> Speed | None:
        """Draw the same by vLLM's client; None if that fails and the server does not, which raises EngineError."""
        config = draw.config
        try:
            python = config.vllm.python or sys.executable
            return await through_vllms_client(draw, python, config.engine.model, self._folder)
        except EngineError as error:
            await self._watch.ready()
            self._say(str(error))
            return None

    async def _draft_counts(self) -> DraftCounts:
        try:
            async with (
                aiohttp.ClientSession() as client,
                client.get(f"{self._url.removesuffix('/v1')}/metrics") as response,
            ):
                return draft_counts(await response.text())
        except aiohttp.ClientError as error:
            raise EngineError(f"the server's metrics cannot be read: {error}") from error


@asynccontextmanager
async def serving_variant(
    variant: ServingVariant, config: Config, settings: MeasurementSettings, on_event: OnEvent
) -> AsyncIterator[tuple[ServedVariant, ServerStarted]]:
    """Start the server of a variant, once and with no other settings; it is ended with the context.

    Raises ConfigError if it does not fit this machine by its arithmetic, EngineError with the server's reason if it
    does not start.
    """
    check_profile(config, find_gpus())
    config = override_config(config, {"engine.port": free_port()})
    clock = asyncio.get_running_loop().time
    log = settings.folder / f"{variant.slug}.log"
    log.unlink(missing_ok=True)
    engine = VllmEngine(config.engine, config.vllm, log_path=log, on_event=on_event, restarts=False)
    watch = FirstTokenWatch(engine)
    try:
        began = clock()
        await engine.ready()
        seconds = clock() - began
        assert engine.started is not None
        parts, memory = engine.started.parts, engine.started.memory
        facts = memory.weights_gib, memory.kv_cache_tokens, memory.used_gib
        yield ServedVariant(variant, config, watch, settings, on_event), ServerStarted(variant, seconds, parts, *facts)
    finally:
        await _close_whole(engine)


async def _close_whole(engine: VllmEngine) -> None:
    """Close the engine to the end, also where the time limit or an interrupt falls into it."""
    closing = asyncio.ensure_future(engine.close())
    try:
        await asyncio.shield(closing)
    except asyncio.CancelledError:
        await closing
        raise


def speed_config(config: Config, lanes: int, tokens: int) -> Config:
    """Return the configuration of a speed: all lanes at a time to their end, and nothing asked of a lane after it."""
    return override_config(config, {"sample.tools": False, **whole_lanes(lanes, tokens)})


def accuracy_config(config: Config) -> Config:
    """Return the configuration of an accuracy: as many problems at a time as fill the server, and ample time."""
    keys = {
        "problems_in_flight": max(1, config.vllm.max_num_seqs // config.sample.count),
        "budget.time_limit_seconds": AMPLE_SECONDS,
        "budget.ceiling_seconds": AMPLE_SECONDS,
    }
    return override_config(config, keys)


def problem_votes(run: RunRecord) -> tuple[ProblemVotes, ...]:
    """Return the votes of each solved problem of a run."""
    truths = {problem.id: problem.answer for problem in run.problems}
    found = []
    for solution in run.solutions:
        votes = {vote.answer: vote.samples for vote in solution.tally.votes}
        truth = truths[solution.problem_id]
        own = 0 if solution.answer is None else votes.get(solution.answer, 0)
        right = 0 if truth is None else votes.get(truth, 0)
        found.append(ProblemVotes(solution.problem_id, solution.answer, truth, own, right, sum(votes.values())))
    return tuple(found)
