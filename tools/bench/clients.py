"""Three ways to draw the same samples from one server: the whole agent, a bare client, vLLM's own benchmark client."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console

from agent.agent import Agent
from agent.chat.dialects import chat_format
from agent.chat.task import CompetitionTask
from agent.config import Config
from agent.engine.base import Engine
from agent.engine.persistent import PersistentEngine
from agent.errors import EngineError
from agent.journal.journal import read_run
from agent.types import Problem, Sample
from agent.views.live import open_view

# vLLM's `vllm bench serve`, which is no command where the package has another name (the CPU build). By that name vLLM
# knows that it computes on a CPU, and loads what this one can execute: so before the name is changed.
_VLLM_BENCH = (
    "from vllm.platforms import current_platform\n"
    "import importlib.metadata as metadata\n"
    "named, find = metadata.packages_distributions()['vllm'][0], metadata.Distribution.from_name\n"
    "metadata.Distribution.from_name = lambda name: find(named if name == 'vllm' else name)\n"
    "from vllm.utils.argparse_utils import FlexibleArgumentParser as Parser\n"
    "from vllm.benchmarks.serve import add_cli_args, main\n"
    "parser = Parser(); add_cli_args(parser); main(parser.parse_args())"
)

AMPLE_SECONDS = 36_000
"""A time limit that no measurement reaches."""
_CHARS_PER_TOKEN = 4  # about, of English


@dataclass(frozen=True, slots=True)
class Speed:
    """Generated tokens, the wall time in seconds, and the median seconds to a first token where that was watched."""

    tokens: int
    seconds: float
    first_token: float | None = None

    @property
    def per_second(self) -> float:
        """Tokens/s, all lanes together."""
        return self.tokens / self.seconds


@dataclass(frozen=True, slots=True)
class Draw:
    """The samples drawn by the agent, for the others to draw again: prompt, token counts, sampling and seeds."""

    config: Config
    problem: Problem
    samples: Sequence[Sample]
    url: str  # the protocol's base

    @property
    def prompt(self) -> str:
        """The prompt of all samples."""
        chat = chat_format(self.config.sample.family, tools=False)
        return chat.prompt(CompetitionTask(self.config.rules), self.problem)

    @property
    def mean_context(self) -> float:
        """The tokens that a lane holds on average while it draws: the prompt and half of its own."""
        drawn = sum(sample.tokens for sample in self.samples) / len(self.samples)
        return len(self.prompt) / _CHARS_PER_TOKEN + drawn / 2


def whole_lanes(lanes: int, tokens: int) -> dict[str, Any]:
    """Return the keys of a configuration under which all lanes start at once and run to their end.

    Each has at most `tokens`. Nothing is asked of a lane beside or after them, which no other client would ask.
    """
    return {
        "sample.count": lanes,
        "sample.max_tokens": tokens,
        "sample.answer_tokens": 0,
        "sample.probe_tokens": 0,
        "stopping.rule": "wait-for-all",
        "budget.planner": "spread",
        "budget.time_limit_seconds": AMPLE_SECONDS,
        "budget.ceiling_seconds": AMPLE_SECONDS,
    }


async def through_the_agent(
    config: Config, engine: Engine | PersistentEngine, directory: Path, problem: Problem
) -> tuple[Speed, Sequence[Sample]]:
    """Measure the agent, journal and live view included, from the first sample's start to the last one's end.

    The samples are those that drew any token. Raises EngineError if none did.
    """
    agent = Agent(config, engine)
    try:
        with directory.with_suffix(".screen").open("w", encoding="utf-8") as file:
            screen = Console(file=file, force_terminal=True)
            with open_view([problem], screen) as view:
                await agent.solve_all([problem], run_dir=directory, listeners=[view])
    finally:
        await agent.sandbox.close()  # the engine is the caller's
    recorded = read_run(directory).samples
    samples = [sample for sample in recorded if sample.tokens]
    if not samples:
        raise EngineError(next((sample.failure for sample in recorded if sample.failure), "no lane drew a token"))
    started = min(sample.started for sample in samples)
    ended = max(sample.started + sample.seconds for sample in samples)
    return Speed(sum(sample.tokens for sample in samples), ended - started), samples


async def through_a_bare_client(draw: Draw) -> Speed:
    """Measure a minimal client that only reads the streams."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True)) as client:
        async with client.get(f"{draw.url}/models") as response:
            model = (await response.json())["data"][0]["id"]

        async def lane(sample: Sample) -> int:
            asked = {"model": model, "prompt": draw.prompt, "max_tokens": sample.tokens, "ignore_eos": True}
            asked |= draw.config.sampling.model_dump(exclude={"seeded"})
            asked |= {"seed": sample.seed} if draw.config.sampling.seeded else {}
            return await _read(client, f"{draw.url}/completions", asked)

        started = time.perf_counter()
        counts = await asyncio.gather(*(lane(sample) for sample in draw.samples))
        return Speed(sum(counts), time.perf_counter() - started)


async def through_vllms_client(draw: Draw, python: str, tokenizer: str, folder: Path) -> Speed:
    """Measure `vllm bench serve`, all samples at a time. Raises EngineError, quoting it, if it fails."""
    dataset, result = folder / "prompts.jsonl", folder / "result.json"
    rows = [{"prompt": draw.prompt, "output_tokens": sample.tokens} for sample in draw.samples]
    dataset.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    sampling = draw.config.sampling
    flags: dict[str, object] = {
        "--backend": "openai",
        "--base-url": draw.url.removesuffix("/v1"),
        "--endpoint": "/v1/completions",
        "--model": tokenizer,
        "--served-model-name": "model",
        "--dataset-name": "custom",
        "--dataset-path": dataset,
        "--custom-output-len": -1,
        "--num-prompts": len(rows),
        "--max-concurrency": len(rows),
        "--temperature": sampling.temperature,
        "--top-p": sampling.top_p,
        "--top-k": sampling.top_k,
        "--result-dir": folder,
        "--result-filename": result.name,
    }
    switches = ["--ignore-eos", "--save-result", "--disable-tqdm", "--disable-shuffle", "--skip-chat-template"]
    words = [str(word) for flag in flags.items() for word in flag]
    process = await asyncio.create_subprocess_exec(
        *(python, "-c", _VLLM_BENCH, *words, *switches),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"},
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode or not result.exists():
        raise EngineError(f"vLLM's benchmark client failed: {output.decode('utf-8', 'replace')[-400:].strip()}")
    figures = json.loads(result.read_text(encoding="utf-8"))
    first_token = float(figures["median_ttft_ms"]) / 1_000
    return Speed(int(figures["total_output_tokens"]), float(figures["duration"]), first_token)


async def _read(client: aiohttp.ClientSession, url: str, asked: dict[str, Any]) -> int:
    """Return the tokens of one streamed completion."""
    last = b""
    streamed = {"stream": True, "stream_options": {"include_usage": True}}
    async with client.post(url, json=asked | streamed) as response:
        response.raise_for_status()
        async for line in response.content:
            if line.startswith(b"data: {"):
                last = line
    return int(json.loads(last[6:])["usage"]["completion_tokens"])
