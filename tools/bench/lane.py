"""Measure what the agent's own loop costs the CPU for each token, beside clients that only read the same streams."""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.table import Table

from agent.agent import Agent
from agent.cli.numbers import positive_number, whole_number, whole_numbers
from agent.config import Config, load_config
from agent.engine.http import HttpEngine
from agent.types import Problem
from agent.views.live import open_view
from tools.bench.clients import whole_lanes
from tools.bench.lane_parts import lane_parts
from tools.bench.paced_server import EVENT_TOKENS
from tools.shared.command_line import some_of

LANE_SUMMARY = "CPU time a token of the agent's loop, beside clients that only read the same streams"

_PROMPT = "What is the remainder when 3^2025 is divided by 1000?"


@dataclass(frozen=True, slots=True)
class LaneCost:
    """CPU microseconds a token: of the whole agent, and of clients that `parse` each event, or `read` the bytes."""

    lanes: int
    event_tokens: int
    agent: float
    parse: float
    read: float


def add_lane_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this benchmark."""
    parser.add_argument(
        "--lanes", type=whole_numbers, default="1,16,32,64", help="concurrent streams (default 1,16,32,64)"
    )
    parser.add_argument(
        "--models",
        type=some_of("model", EVENT_TOKENS),
        default=",".join(EVENT_TOKENS),
        help="model: a token an event; model-4: four",
    )
    parser.add_argument("--tokens", type=whole_number, default=300, help="tokens per stream (default 300)")
    parser.add_argument("--repeats", type=whole_number, default=3, help="rounds of all sides in turns (default 3)")
    parser.add_argument(
        "--step", type=positive_number, default=0.02, help="seconds from event to event of a stream (default 0.02)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def bench_lane(args: argparse.Namespace) -> None:
    """Measure and print; each figure is the median of the rounds."""
    costs = asyncio.run(_measure(args.lanes, args.models, args.tokens, args.repeats, args.step))
    parts = lane_parts()
    if args.json:
        print(json.dumps({"costs": [asdict(cost) for cost in costs], "parts": parts}, indent=2))
        return
    screen = Console()
    table = Table("lanes", "tokens an event", "agent, µs a token", "read and parsed", "read only", "agent / parsed")
    for cost in costs:
        figures = (cost.agent, cost.parse, cost.read, cost.agent / cost.parse)
        table.add_row(str(cost.lanes), str(cost.event_tokens), *(f"{figure:.1f}" for figure in figures))
    screen.print(table)
    table = Table("part of the loop, by itself", "µs a token")
    for part, micros in parts.items():
        table.add_row(part, f"{micros:.1f}")
    screen.print(table)


async def _measure(
    lanes: Sequence[int], models: Sequence[str], tokens: int, repeats: int, step: float
) -> list[LaneCost]:
    """All rounds, after one that warms caches and imports."""
    costs = []
    async with _server(step) as url:
        await _cost(url, 2, models[0], 50)
        for count in lanes:
            for model in models:
                rounds = [await _cost(url, count, model, tokens) for _ in range(repeats)]
                agent, parse, read = (statistics.median(figures) for figures in zip(*rounds, strict=True))
                costs.append(LaneCost(count, EVENT_TOKENS[model], agent, parse, read))
    return costs


@asynccontextmanager
async def _server(step: float) -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tools.bench.paced_server", str(step)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        port = int(await process.stdout.readline())
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.stdin.close()
        await process.wait()


async def _cost(url: str, lanes: int, model: str, tokens: int) -> tuple[float, float, float]:
    """CPU microseconds a token of the agent, of a client that parses, and of one that reads."""
    config = _config(lanes, model, tokens)
    sides: list[Callable[[], Awaitable[object]]] = [
        lambda: _through_the_agent(config, url),
        lambda: _streamed(url, lanes, model, tokens, _parsed),
        lambda: _streamed(url, lanes, model, tokens, _read),
    ]
    micros = []
    for side in sides:
        began = time.process_time()
        await side()
        micros.append((time.process_time() - began) * 1e6 / (lanes * tokens))
    agent, parse, read = micros
    return agent, parse, read


def _config(lanes: int, model: str, tokens: int) -> Config:
    """A model that thinks and may call Python, of whose lanes none ends before its tokens do."""
    return load_config("qwq", {"engine.model": model, **whole_lanes(lanes, tokens)})


async def _through_the_agent(config: Config, url: str) -> None:
    """Solve one problem, recorded and shown as where there is no terminal."""
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "screen").open("w", encoding="utf-8") as file:
        problem = Problem("bench", _PROMPT)
        async with Agent(config, HttpEngine(url, model=config.engine.model)) as agent:
            with open_view([problem], Console(file=file)) as view:
                solution = await agent.solve(problem, run_dir=Path(folder) / "run", listeners=[view])
    assert solution.tokens == config.sample.count * config.sample.max_tokens, solution


async def _streamed(
    url: str, lanes: int, model: str, tokens: int, consume: Callable[[aiohttp.StreamReader], Awaitable[None]]
) -> None:
    """Read the same streams without a lane."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as client:

        async def lane() -> None:
            asked = {"model": model, "prompt": _PROMPT, "max_tokens": tokens}
            async with client.post(f"{url}/completions", json=asked) as response:
                await consume(response.content)

        await asyncio.gather(*(lane() for _ in range(lanes)))


async def _parsed(content: aiohttp.StreamReader) -> None:
    async for line in content:
        if line.startswith(b"data: {"):
            json.loads(line[6:])


async def _read(content: aiohttp.StreamReader) -> None:
    while await content.readany():
        pass
