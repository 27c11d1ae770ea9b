"""A vLLM engine whose server is the stand-in of `fake_vllm`: real processes, real HTTP, no model."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.config import EngineConfig, VllmConfig
from agent.engine.vllm.server import VllmEngine
from tests.support.processes import lives

PACKAGE = Path(__file__).parent / "fake_vllm"


@dataclass
class FakeVllm:
    """An engine, what it has told, and what its servers have seen."""

    engine: VllmEngine
    folder: Path
    events: list[str] = field(default_factory=list)

    @property
    def log(self) -> list[dict[str, Any]]:
        path = self.folder / "seen.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def starts(self) -> list[list[str]]:
        return [entry["flags"] for entry in self.log if "flags" in entry]

    @property
    def server(self) -> int:
        """Process id of the server that was started last."""
        return int([entry["pids"][0] for entry in self.log if "pids" in entry][-1])

    @property
    def port(self) -> int:
        """Port of the server that was started last."""
        flags = self.starts[-1]
        return int(flags[flags.index("--port") + 1])

    def alive(self) -> list[int]:
        """Of all processes that were ever started, those that still run."""
        pids = [pid for entry in self.log for pid in entry.get("pids", ())]
        return [pid for pid in pids if lives(pid)]


def plan(folder: Path, **keys: object) -> dict[str, str]:
    """Write the plan; returns the environment that makes a server follow it."""
    path = folder / "plan.json"
    path.write_text(json.dumps({"log": str(folder / "seen.jsonl"), **keys}))
    return {"FAKE_VLLM": str(path), "PYTHONPATH": os.pathsep.join([str(PACKAGE), str(PACKAGE.parents[3])])}


@asynccontextmanager
async def fake_vllm(
    folder: Path, *, hang_seconds: float = 20.0, start_seconds: float = 60.0, restarts: bool = True, **keys: object
) -> AsyncIterator[FakeVllm]:
    """The engine, closed in the end."""
    events: list[str] = []
    settings = VllmConfig(hang_seconds=hang_seconds, environment=plan(folder, **keys))
    engine = VllmEngine(
        EngineConfig(kind="vllm", model="some-model", start_seconds=start_seconds),
        settings,
        log_path=folder / "engine.log",
        on_event=events.append,
        restarts=restarts,
    )
    try:
        yield FakeVllm(engine, folder, events)
    finally:
        await engine.close()
