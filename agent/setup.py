"""Opens what a configuration names: the engine and the sandbox."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agent.config import Config
from agent.engine.base import Engine
from agent.engine.embedded import EmbeddedEngine
from agent.engine.http import HttpEngine, api_url
from agent.engine.persistent import PersistentEngine
from agent.engine.vllm import VllmEngine
from agent.gpus import check_profile, find_gpus
from agent.sandbox.base import Limits, Sandbox
from agent.sandbox.forkserver import ForkServerSandbox

_MOST_SLOTS = 16  # of the embedded engine, each with its own context in memory; lanes beyond wait for one


def open_engine(
    config: Config, fetch: Callable[[str], Path], log: Path, notice: Callable[[str], None]
) -> PersistentEngine:
    """The engine of the configuration, not yet started.

    `fetch` gives the file of a model by its name (it may download for minutes); `log` is where a server that is ours
    writes; `notice` is told as a one-line message what happens to it. Raises ModelError if there is no such model,
    ConfigError if the profile does not fit the GPUs that are there.
    """
    engine = _engine(config, fetch, log, notice)
    return PersistentEngine(engine, notice=notice, start_seconds=config.engine.start_seconds)


def _engine(config: Config, fetch: Callable[[str], Path], log: Path, notice: Callable[[str], None]) -> Engine:
    engine = config.engine
    if engine.kind == "http":
        return HttpEngine(api_url(engine.url), model=engine.model or None, stall_seconds=engine.stall_seconds)
    if engine.kind == "vllm":
        check_profile(config, find_gpus())
        return VllmEngine(engine, config.vllm, log_path=log, notice=notice)
    return EmbeddedEngine(
        fetch(engine.model),
        slots=min(config.sample.count * config.problems_in_flight, _MOST_SLOTS),
        streams=engine.streams or None,
        context_tokens=engine.context_tokens,
        port=engine.port,
        start_seconds=engine.start_seconds,
        stall_seconds=engine.stall_seconds,
        log_path=log,
    )


def open_sandbox(config: Config) -> Sandbox:
    """The sandbox of the configuration."""
    limits = config.sandbox
    return ForkServerSandbox(Limits(limits.cell_seconds, limits.memory_mib << 20, limits.output_chars))
