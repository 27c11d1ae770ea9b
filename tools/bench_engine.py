"""How much of the engine's speed arrives through the agent: its tokens a second against those of a bare client."""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import statistics
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console
from rich.progress import track
from rich.table import Table

from agent.budget import TimeBank
from agent.config import Config, load_config
from agent.engine.base import Engine
from agent.engine.http import api_url
from agent.journal import Journal, create_run, read_run
from agent.models import fetch_model
from agent.observer import Observers
from agent.progress import open_view
from agent.prompts import FAMILIES, build_prompt
from agent.run import run_problems
from agent.setup import open_engine, open_sandbox
from agent.types import Problem, Sample

SUMMARY = "tokens a second through the agent against a bare client on the same server, in turns"

# Asks for more text than any lane may write, so that both sides generate the same number of tokens.
_PROMPT = "Write down the positive integers in words, from one on, and do not stop before one thousand."
_AMPLE_SECONDS = 36_000


@dataclass(frozen=True, slots=True)
class Speed:
    """Tokens generated and the wall seconds that they took."""

    tokens: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Tokens a second, all lanes together."""
        return self.tokens / self.seconds


def add_flags(parser: argparse.ArgumentParser) -> None:
    """The flags of this bench."""
    parser.add_argument("--url", help="a server that is already running (default: the embedded engine)")
    parser.add_argument("--model", default="qwen2.5-coder-1.5b", help="the embedded model")
    parser.add_argument("--lanes", type=int, default=8, help="samples at once (default 8)")
    parser.add_argument("--tokens", type=int, default=100, help="tokens a sample (default 100)")
    parser.add_argument("--repeats", type=int, default=3, help="rounds of both sides in turns (default 3)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> None:
    """Measure and print."""
    console = Console(stderr=True)
    config = _config(args)
    with tempfile.TemporaryDirectory() as folder:
        fetch = partial(fetch_model, console=console)
        engine = open_engine(config, fetch, Path(folder) / "engine.log", console.print)
        rounds = asyncio.run(_measure(config, engine, Path(folder), args.repeats, console))
    ratio = statistics.median(agent.per_second / bare.per_second for agent, bare in rounds)
    if args.json:
        rows = [{"agent": agent.per_second, "bare": bare.per_second} for agent, bare in rounds]
        print(json.dumps({"lanes": args.lanes, "tokens_per_second": rows, "ratio": ratio}, indent=2))
        return
    table = Table("round", "agent, tokens/s", "bare client, tokens/s", "ratio", title=f"{args.lanes} lanes")
    for number, (agent, bare) in enumerate(rounds, 1):
        share = agent.per_second / bare.per_second
        table.add_row(str(number), f"{agent.per_second:.1f}", f"{bare.per_second:.1f}", f"{share:.3f}")
    Console().print(table)
    Console().print(f"median ratio {ratio:.3f}")


def _config(args: argparse.Namespace) -> Config:
    keys = {
        "engine.kind": "http" if args.url else "embedded",
        "engine.url": args.url or "",
        "engine.model": "" if args.url else args.model,
        "engine.port": _free_port(),
        "sample.count": args.lanes,
        "sample.tools": False,
        "sample.max_tokens": args.tokens,
        "stopping.margin": args.lanes + 1.0,
        "budget.time_limit_seconds": _AMPLE_SECONDS,
        "budget.ceiling_seconds": _AMPLE_SECONDS,
    }
    return load_config("cpu", keys)


async def _measure(
    config: Config, engine: Engine, folder: Path, repeats: int, console: Console
) -> list[tuple[Speed, Speed]]:
    """Rounds of (agent, bare client). A round before them, which is not counted, fills the prompt cache for both."""
    problem = Problem("bench", _PROMPT)
    url = api_url(config.engine.url or f"http://127.0.0.1:{config.engine.port}")
    try:
        await engine.ready()
        rounds = []
        for number in track(range(repeats + 1), "measuring", console=console):
            directory = folder / str(number)
            create_run(directory, config, [problem])
            agent = await _through_the_agent(config, engine, directory, problem)
            rounds.append((agent, await _through_a_bare_client(config, url, directory, problem)))
        return rounds[1:]
    finally:
        await engine.close()


async def _through_the_agent(config: Config, engine: Engine, directory: Path, problem: Problem) -> Speed:
    """The whole agent, journal and live view included."""
    bank = TimeBank(config.time_limit_seconds, asyncio.get_running_loop().time)
    journal = Journal(directory)
    sandbox = open_sandbox(config)
    with (directory / "screen").open("w", encoding="utf-8") as file:
        screen = Console(file=file, force_terminal=True)
        with open_view(screen, problems=1, clock=lambda: bank.spent, truths={}) as view:
            [solution] = await run_problems([problem], config, engine, sandbox, Observers([journal, view]), bank)
    await sandbox.close()
    journal.close()
    return Speed(solution.tokens, solution.seconds)


async def _through_a_bare_client(config: Config, url: str, directory: Path, problem: Problem) -> Speed:
    """The same prompts, token counts and seeds, lane by lane, from a client that only reads what comes."""
    prompt = build_prompt(FAMILIES[config.sample.family], problem, config.rules, tools=False)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as client:
        async with client.get(f"{url}/models") as response:
            model = (await response.json())["data"][0]["id"]

        async def lane(sample: Sample) -> int:
            tokens, text = 0, prompt
            for number, turn in enumerate(sample.turns):
                asked = {"model": model, "prompt": text, "max_tokens": turn.tokens, "seed": sample.seed + number}
                tokens += await _read(client, f"{url}/completions", asked | config.sampling.model_dump())
                text += turn.text + turn.inserted
            return tokens

        started = time.perf_counter()
        counts = await asyncio.gather(*(lane(sample) for sample in read_run(directory).samples))
        return Speed(sum(counts), time.perf_counter() - started)


async def _read(client: aiohttp.ClientSession, url: str, asked: dict[str, Any]) -> int:
    """Tokens of one streamed completion."""
    last = b""
    streamed = {"stream": True, "stream_options": {"include_usage": True}}
    async with client.post(url, json=asked | streamed) as response:
        response.raise_for_status()
        async for line in response.content:
            if line.startswith(b"data: {"):
                last = line
    return int(json.loads(last[6:])["usage"]["completion_tokens"])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
