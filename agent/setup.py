"""Opens what a configuration names: the engine and the sandbox."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agent.config import Config
from agent.engine.base import Engine
from agent.engine.embedded import EmbeddedEngine
from agent.engine.http import HttpEngine, api_url
from agent.sandbox.base import Limits, Sandbox
from agent.sandbox.forkserver import ForkServerSandbox

_MOST_SLOTS = 16  # of the embedded engine, each with its own context in memory; lanes beyond wait for one


def open_engine(config: Config, fetch: Callable[[str], Path], log: Path) -> Engine:
    """The engine of the configuration, not yet started.

    `fetch` gives the file of a model by its name (it may download for minutes); `log` is where a server that is ours
    writes. Raises ModelError if there is no such model.
    """
    engine = config.engine
    if engine.kind == "http":
        return HttpEngine(api_url(engine.url), model=engine.model or None, stall_seconds=engine.stall_seconds)
    return EmbeddedEngine(
        fetch(engine.model),
        slots=min(config.sample.count, _MOST_SLOTS),
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
