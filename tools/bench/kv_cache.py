"""Measure what an FP8 KV cache costs a model: the same texts read by a vLLM server with it and by one without."""

from __future__ import annotations

import argparse
import asyncio
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import aiohttp
from rich.console import Console
from rich.table import Table

from agent.agent import Agent
from agent.chat.dialects import chat_format
from agent.chat.task import CompetitionTask
from agent.cli.numbers import whole_number
from agent.config import Config, load_config
from agent.engine.base import Engine
from agent.engine.http import api_url
from agent.engine.persistent import PersistentEngine
from agent.engine.process import free_port
from agent.errors import EngineError, InputError
from agent.journal.journal import RunRecord, read_run
from agent.journal.run_directory import ENGINE_LOG
from agent.metrics import is_right

KV_CACHE_SUMMARY = "perplexity of a run's right samples with the KV cache in FP8, compared with 16 bits"

_PRECISIONS = ("auto", "fp8")
_FULL_CONTEXT_SECONDS = 600.0  # for one text on a slow machine


@dataclass(frozen=True, slots=True)
class Text:
    """A prompt, and a sample that continued it."""

    prompt: str
    sample: str


@dataclass(frozen=True, slots=True)
class ReadToken:
    """A token of a sample as a server reads it: its log-probability, and the id of the most likely one in its place."""

    logprob: float
    most_likely: str


@dataclass(frozen=True, slots=True)
class Reading:
    """All tokens of all samples, as read by one server."""

    tokens: tuple[ReadToken, ...]

    @property
    def perplexity(self) -> float:
        """exp(-mean log-probability)."""
        return math.exp(-fmean(token.logprob for token in self.tokens))

    def agreement(self, other: Reading) -> float:
        """The share of the places where both take the same token for the most likely one: what a greedy lane writes."""
        pairs = zip(self.tokens, other.tokens, strict=True)
        return fmean(one.most_likely == another.most_likely for one, another in pairs)


def add_kv_cache_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of this benchmark."""
    parser.add_argument("run", type=Path, metavar="RUN", help="the directory of a run; its problems need answers")
    parser.add_argument("--profile", default="vllm-cpu", help="which vLLM (default vllm-cpu)")
    parser.add_argument("--model", help="a model instead of the profile's")
    parser.add_argument("--python", default="", help="the interpreter that has vLLM")
    parser.add_argument("--samples", type=whole_number, default=60, help="right samples read, at most (default 60)")


def bench_kv_cache(args: argparse.Namespace) -> None:
    """Measure and print."""
    texts = right_samples(read_run(args.run), args.samples)
    if not texts:
        raise InputError(f"{args.run} holds no right sample: give a run of problems whose answers are known")
    console = Console(stderr=True)
    readings = {}
    for precision in _PRECISIONS:
        keys = {"vllm.kv_cache_dtype": precision, "vllm.python": args.python, "engine.port": free_port()}
        model = {} if args.model is None else {"engine.model": args.model}
        readings[precision] = asyncio.run(_read_served(load_config(args.profile, keys | model), texts, console))
    Console().print(_table(readings))


def right_samples(run: RunRecord, most: int) -> list[Text]:
    """The run's right samples with their prompts: of each problem the first, then of each the second, and so on."""
    sample = run.config.sample
    chat = chat_format(sample.family, tools=sample.tools, max_rounds=sample.max_rounds)
    task = CompetitionTask(run.config.rules)
    found = []
    for problem in run.problems:
        prompt = chat.prompt(task, problem)
        right = (each for each in run.samples_of(problem.id) if is_right(each.answer, problem.answer))
        found += [(place, Text(prompt, each.text)) for place, each in enumerate(right)]
    return [text for _, text in sorted(found, key=lambda placed: placed[0])][:most]


async def _read_served(config: Config, texts: Sequence[Text], console: Console) -> Reading:
    """Start the server of a configuration and let it read the texts."""
    with tempfile.TemporaryDirectory() as name:
        agent = Agent.open(config, log=Path(name) / ENGINE_LOG, check=False, on_engine_event=console.print)
        async with agent:
            return await read_texts(agent.engine, texts, api_url(f"http://127.0.0.1:{config.engine.port}"))


async def read_texts(engine: Engine | PersistentEngine, texts: Sequence[Text], url: str) -> Reading:
    """Let the server of an engine, at `url`, read the texts, each in one request. Raises EngineError if it cannot."""
    timeout = aiohttp.ClientTimeout(total=_FULL_CONTEXT_SECONDS)
    tokens: list[ReadToken] = []
    async with aiohttp.ClientSession(timeout=timeout) as client:
        for text in texts:
            before = await engine.count_tokens(text.prompt)
            if before is None:
                raise EngineError(f"the server at {url} counts no tokens: give the profile of a vLLM")
            tokens += (await _read(client, url, text.prompt + text.sample))[before:]
    return Reading(tuple(tokens))


async def _read(client: aiohttp.ClientSession, url: str, text: str) -> list[ReadToken]:
    """Return all tokens of a text; of the first there is no probability, so it is certain."""
    body = {"model": "model", "prompt": text, "max_tokens": 1, "temperature": 0, "prompt_logprobs": 1}
    try:
        async with client.post(f"{url}/completions", json=body) as response:
            told = (await response.json())["choices"][0]["prompt_logprobs"]
    except (aiohttp.ClientError, TimeoutError, LookupError) as error:
        raise EngineError(f"a sample could not be read by the server: {type(error).__name__} {error}") from error
    return [ReadToken(0.0, "") if places is None else _token(places) for places in told]


def _token(places: dict[str, Any]) -> ReadToken:
    """The token that stands in the text comes first, then the most likely one, if that is another."""
    return ReadToken(next(iter(places.values()))["logprob"], next(i for i, each in places.items() if each["rank"] == 1))


def _table(readings: dict[str, Reading]) -> Table:
    plain = readings[_PRECISIONS[0]]
    table = Table("KV cache", "tokens", "perplexity", "same most likely token")
    for precision, reading in readings.items():
        name = "16 bits" if reading is plain else precision
        table.add_row(name, str(len(reading.tokens)), f"{reading.perplexity:.3f}", f"{reading.agreement(plain):.1%}")
    return table
