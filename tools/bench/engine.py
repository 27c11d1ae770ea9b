"""Measure the agent's throughput relative to other clients of the same engine, and to the hardware's roofline."""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from agent.agent import Agent
from agent.cli.arguments import given_path, set_keys
from agent.cli.numbers import whole_number, whole_numbers
from agent.config import Config, load_config, override_config
from agent.engine.http import api_url
from agent.engine.persistent import PersistentEngine
from agent.engine.process import free_port
from agent.hardware.devices import Device
from agent.journal.run_directory import ENGINE_LOG
from agent.models.store import fetch_model
from agent.types import Problem
from tools.bench.clients import (
    Draw,
    Speed,
    through_a_bare_client,
    through_the_agent,
    through_vllms_client,
    whole_lanes,
)
from tools.bench.dummy_model import ARCHITECTURES, write_dummy
from tools.bench.hardware import bounding_device, roofline
from tools.bench.idle import IdleWatch

ENGINE_SUMMARY = "tokens/s through the agent compared with other clients of the same server, interleaved"

# Asks for more text than any lane may write, so that both sides generate the same number of tokens.
_PROMPT = "Write down the positive integers in words, from one on, and do not stop before one thousand."
_TOOL_PROMPT = "How many integers from 1 to 1000 are divisible by 7 or by 11, but not by 5?"


@dataclass(frozen=True, slots=True)
class Round:
    """One comparison; `roofline` in tokens/s, None if the hardware is unknown."""

    lanes: int
    agent: Speed
    bare: Speed
    vllm: Speed | None
    roofline: float | None

    @property
    def baseline(self) -> Speed:
        """vLLM's own client where the server is vLLM, else the bare one."""
        return self.vllm or self.bare

    @property
    def ratio(self) -> float:
        """The agent's speed over the baseline's."""
        return self.agent.per_second / self.baseline.per_second


def add_engine_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this benchmark."""
    parser.add_argument("--profile", default="cpu", help="which engine (default cpu, the embedded one)")
    parser.add_argument("--url", help="a server that is already running")
    parser.add_argument("--model", help="a model instead of the profile's")
    parser.add_argument("--set", action="append", metavar="KEY=VALUE", help="any key of the configuration")
    parser.add_argument("--lanes", type=whole_numbers, default="8", help="concurrent samples, like 16,32 (default 8)")
    parser.add_argument("--tokens", type=whole_number, default=100, help="tokens per sample (default 100)")
    parser.add_argument("--repeats", type=whole_number, default=3, help="rounds of all sides in turns (default 3)")
    parser.add_argument("--dummy", choices=list(ARCHITECTURES), help="random weights of this shape instead (vLLM)")
    parser.add_argument("--tokenizer", type=given_path, metavar="DIR", help="a Qwen2.5 tokenizer, with --dummy")
    parser.add_argument("--json", action="store_true", help="print JSON")


def bench_engine(args: argparse.Namespace) -> None:
    """Measure and print."""
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = _config(args, folder)
        fetch = partial(fetch_model, console=console)
        # Random weights know no answer.
        agent = Agent.open(config, log=folder / ENGINE_LOG, fetch=fetch, check=False, on_engine_event=console.print)
        rounds, idle = asyncio.run(_measure(agent, folder, args.lanes, args.repeats, console))
    if args.json:
        rows = [asdict(each) | {"ratio": each.ratio} for each in rounds]
        print(json.dumps({"rounds": rows, "idle_share_with_tools": idle}, indent=2))
        return
    screen = Console()
    screen.print(_table(rounds))
    for number in args.lanes:
        ratio = statistics.median(each.ratio for each in rounds if each.lanes == number)
        screen.print(f"{number} lanes: median ratio {ratio:.3f}")
    if idle is not None:
        screen.print(f"with tools on, the engine was idle for {idle:.1%} of the time in which a lane waited for tokens")


def _table(rounds: Sequence[Round]) -> Table:
    table = Table("lanes", "agent, tokens/s", "bare client", "vLLM's client", "ratio", "roofline", "share of it")
    for each in rounds:
        speeds = [f"{side.per_second:.1f}" if side else "" for side in (each.agent, each.bare, each.vllm)]
        share = f"{each.agent.per_second / each.roofline:.0%}" if each.roofline else ""
        roofline = f"{each.roofline:.0f}" if each.roofline else ""
        table.add_row(str(each.lanes), *speeds, f"{each.ratio:.3f}", roofline, share)
    return table


def _config(args: argparse.Namespace, folder: Path) -> Config:
    keys: dict[str, Any] = {
        "sample.tools": False,
        "sample.max_tokens": args.tokens,
        "engine.streams": 0,  # all lanes at a time, as the other clients have them
    }
    keys |= {"engine.port": free_port()} if args.url is None else {"engine.url": args.url, "engine.kind": "http"}
    if args.dummy is not None:
        model = write_dummy(args.dummy, args.tokenizer or Path(), folder / args.dummy)
        keys |= {"engine.model": str(model), "vllm.load_format": "dummy"}
    elif args.model or args.url:
        keys["engine.model"] = args.model or ""
    return load_config(args.profile, keys | set_keys(args.set or ()))


def _with_lanes(config: Config, lanes: int) -> Config:
    """Return the configuration with `lanes` lanes, all of which run to their end."""
    return override_config(config, whole_lanes(lanes, config.sample.max_tokens))


async def _measure(
    agent: Agent, folder: Path, lanes: Sequence[int], repeats: int, console: Console
) -> tuple[list[Round], float | None]:
    """Measure all rounds, after a warm-up round for each number of lanes that fills the prompt cache."""
    config = agent.config
    url = api_url(config.engine.url or f"http://127.0.0.1:{config.engine.port}")
    device = await asyncio.to_thread(bounding_device, config)
    async with agent:
        rounds = []
        for count in lanes:
            for number in track(range(repeats + 1), f"{count} lanes", console=console):
                directory = folder / f"{count}-{number}"
                each = await _round(_with_lanes(config, count), agent.engine, directory, url, device)
                rounds += [each] if number else []
        idle = None
        if config.engine.kind == "vllm" and config.vllm.load_format != "dummy":
            tools = override_config(_with_lanes(config, lanes[-1]), {"sample.tools": True})
            watch = IdleWatch(agent.engine, url)
            await through_the_agent(tools, watch, folder / "tools", Problem("tools", _TOOL_PROMPT))
            idle = watch.idle_share
        return rounds, idle


async def _round(config: Config, engine: PersistentEngine, directory: Path, url: str, device: Device | None) -> Round:
    problem = Problem("bench", _PROMPT)
    agent, samples = await through_the_agent(config, engine, directory, problem)
    draw = Draw(config, problem, samples, url)
    bare = await through_a_bare_client(draw)
    vllm = None
    if config.engine.kind == "vllm":
        vllm = await through_vllms_client(draw, config.vllm.python or sys.executable, config.engine.model, directory)
    return Round(config.sample.count, agent, bare, vllm, roofline(config, device, draw.mean_context))
