"""The agent on the real vLLM with real small models, on the CPU. `make test-vllm` installs what this needs."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.config import EngineConfig, load_config, override_config
from agent.engine.base import Chunk, Prompt, SamplingParams
from agent.engine.http import HttpEngine
from agent.engine.persistent import PersistentEngine
from agent.engine.process import free_port
from agent.engine.vllm.command import VLLM_ENVIRONMENT, server_command
from agent.errors import ContextExceededError
from agent.journal.journal import read_run
from agent.lane.token_buffer import TokenBuffer
from agent.problems.reader import starter_problems
from agent.problems.writer import write_problems
from agent.types import Problem
from tests.support.servers.vllm_installed import (
    MODEL_DEFAULTS,
    PYTHON,
    QUIET,
    ROOT,
    hf_model,
    metric,
    needs_vllm,
    tiny_model_with_defaults,
)
from tools.bench.clients import Draw, through_the_agent, through_vllms_client

pytestmark = needs_vllm

CONTEXT = 1_024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server of the tiny model, which has defaults for sampling that a server of ours does not take."""
    model = tiny_model_with_defaults(tmp_path_factory.mktemp("model"))
    with serving(tmp_path_factory.mktemp("vllm"), model=model) as port:
        yield port


@contextmanager
def serving(folder: Path, *, model: Path | None = None, context: int = CONTEXT, **keys: Any) -> Iterator[int]:
    """A server of the tiny model, or that at `model`, that is not the agent's own; its port."""
    port = free_port()
    engine = EngineConfig(kind="vllm", model=str(model or hf_model("smollm2-135m")), context_tokens=context)
    profile = load_config("vllm-cpu").vllm
    settings = profile.model_copy(update={"python": str(PYTHON), **keys})
    guarded = [sys.executable, "-m", "agent.engine.guardian", *server_command(engine, settings, port)]
    environment = {**profile.environment, **VLLM_ENVIRONMENT, **QUIET, **os.environ}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            guarded, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment | {"PYTHONPATH": str(ROOT)}
        )
    try:
        deadline = time.monotonic() + 900  # a busy machine takes minutes
        while True:
            assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()[-3_000:]
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(0.5)
        yield port
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(timeout=60)


@asynccontextmanager
async def client(port: int) -> AsyncIterator[HttpEngine]:
    engine = HttpEngine(f"http://127.0.0.1:{port}/v1", model="model")
    try:
        await engine.ready()
        yield engine
    finally:
        await engine.close()


async def read(engine: HttpEngine, prompt: Prompt, tokens: int) -> list[Chunk]:
    params = SamplingParams(tokens, temperature=0.7, seed=3)
    async with aclosing(engine.stream(prompt, params)) as chunks:
        return [chunk async for chunk in chunks]


STRANGE = "π, é, 中文, 😀, "
PROMPT = f"<|im_start|>user\nWrite {STRANGE} often.<|im_end|>\n<|im_start|>assistant\n{STRANGE * 3}"


async def test_a_text_is_resumed_exactly_from_its_tokens_and_from_the_cache(server: int) -> None:
    async with client(server) as engine:
        first = await read(engine, PROMPT * 4, 60)
        buffer = TokenBuffer()
        for chunk in first:
            buffer.add(chunk)
        text = "".join(chunk.text for chunk in first)
        buffer.end(dropped=3)
        buffer.append("\n```output\n42\n```\n")
        prompt = await buffer.prompt("", engine.tokenize)
        assert not isinstance(prompt, str)
        second = await read(engine, prompt, 5)
    told = [token for chunk in first for token in chunk.token_ids]
    before = list(first[0].prompt_ids)
    kept = len(before) + len(told) - 8
    assert list(second[0].prompt_ids) == prompt  # the server has taken them as they are
    assert prompt[:kept] == (before + told)[:kept]
    assert len(text) > 3
    cached = second[-1].cached_tokens
    assert cached is not None and cached >= 128 and second[-1].prompt_tokens == len(prompt)


async def test_every_token_has_its_id_and_its_log_probability(server: int) -> None:
    async with client(server) as engine:
        chunks = await read(engine, PROMPT, 40)
    tokens = sum(chunk.tokens for chunk in chunks)
    assert tokens == sum(len(chunk.token_ids) for chunk in chunks) == sum(len(chunk.logprobs) for chunk in chunks)
    assert all(value <= 0 for chunk in chunks for value in chunk.logprobs)
    assert any(chunk.aligned for chunk in chunks)


async def test_the_server_stops_computing_when_a_stream_is_closed(server: int) -> None:
    async with client(server) as engine:
        params = SamplingParams(900, temperature=1.0, seed=1)
        streams = [engine.stream("Count: 1, 2, 3,", params) for _ in range(4)]
        for stream in streams:
            await anext(stream)
        assert metric(server, "num_requests_running") == 4
        for stream in streams:
            await stream.aclose()
        for _ in range(200):
            if metric(server, "num_requests_running") == 0:
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError("the server goes on")


async def test_the_server_itself_ends_a_loop(server: int) -> None:
    params = SamplingParams(800, temperature=0.0, presence_penalty=-2.0)  # what was said is said again
    async with client(server) as engine, aclosing(engine.stream("la la la la " * 30, params)) as stream:
        chunks = [chunk async for chunk in stream]
    assert [chunk.finish for chunk in chunks if chunk.finish] == ["repetition"]
    assert sum(chunk.tokens for chunk in chunks) < 700


async def test_a_shorter_context_than_configured_is_learned_from_the_list_of_models(server: int) -> None:
    async with client(server) as engine:
        assert engine.context_tokens == CONTEXT


@pytest.mark.parametrize(("words", "tokens"), [(10, 2 * CONTEXT), (2 * CONTEXT, 8), (40 * CONTEXT, 8)])
async def test_a_request_beyond_the_context_is_reported_as_such_with_its_length(
    server: int, words: int, tokens: int
) -> None:
    async with client(server) as engine:
        with pytest.raises(ContextExceededError) as caught:
            await read(engine, "la " * words, tokens)
        assert caught.value.context_tokens == CONTEXT


async def test_texts_are_counted_as_the_prompts_are(server: int) -> None:
    async with client(server) as engine:
        chunks = await read(engine, PROMPT, 1)
        assert await engine.count_tokens(PROMPT) == len(chunks[0].prompt_ids) == chunks[-1].prompt_tokens


async def test_with_stop_strings_every_token_but_those_of_split_characters_is_still_aligned(server: int) -> None:
    params = SamplingParams(60, temperature=0.7, seed=3, stop=("<|im_end|>", "<|endoftext|>", "nowhere to be found"))
    async with client(server) as engine, aclosing(engine.stream("Count: 1, 2, 3, 4,", params)) as stream:
        chunks = [chunk async for chunk in stream]
    texts = [chunk for chunk in chunks if chunk.text]
    assert len(texts) > 10 and all(chunk.aligned for chunk in texts)


async def test_a_stop_string_is_the_end_of_the_text(server: int) -> None:
    params = SamplingParams(60, temperature=0.0, stop=(" 9",))
    async with client(server) as engine, aclosing(engine.stream("1, 2, 3, 4, 5, 6, 7,", params)) as stream:
        chunks = [chunk async for chunk in stream]
    text = "".join(chunk.text for chunk in chunks)
    assert text.count(" 9") == 1 and text.endswith(" 9")
    assert [chunk.finish for chunk in chunks if chunk.finish] == ["stop"]


async def test_the_end_of_a_turn_is_seen_in_the_text(server: int) -> None:
    prompt = "<|im_start|>user\nSay yes.<|im_end|>\n<|im_start|>assistant\n"
    params = SamplingParams(400, temperature=0.0, stop=("<|im_end|>",))
    async with client(server) as engine, aclosing(engine.stream(prompt, params)) as stream:
        chunks = [chunk async for chunk in stream]
    assert "".join(chunk.text for chunk in chunks).endswith("<|im_end|>")


async def test_a_server_of_ours_takes_no_default_of_the_model_and_shows_its_control_tokens(server: int) -> None:
    start, end = "<|im_start|>", "<|im_end|>"
    prompt = f"{start}user\nHi{end}\n{start}assistant\nYo{end}\n{start}user\nSay hi{end}\n{start}assistant\n"
    async with client(server) as engine:
        found = [chunk async for chunk in engine.stream(prompt, SamplingParams(14, temperature=0.0, stop=(end,)))]
        told = [chunk async for chunk in engine.stream(prompt, SamplingParams(3, temperature=0.0))]
    text = "".join(chunk.text for chunk in found)
    assert text.endswith(end) and [chunk.finish for chunk in found if chunk.finish] == ["stop"]
    assert sum(chunk.tokens for chunk in found) > MODEL_DEFAULTS["max_new_tokens"]
    ids = [token for chunk in found for token in chunk.token_ids]
    assert ids[-1] == 2, "the end of the turn comes as a token, too"
    assert text.startswith("".join(chunk.text for chunk in told))
    assert [chunk.finish for chunk in told if chunk.finish] == ["length"]


async def test_vllms_own_benchmark_client_draws_what_the_agent_has_drawn(server: int, tmp_path: Path) -> None:
    keys: dict[str, object] = {
        "sample.count": 3,
        "sample.max_tokens": 8,
        "sample.answer_tokens": 0,
        "sample.tools": False,
    }
    config = override_config(load_config("vllm-cpu"), keys)
    problem = Problem("p", "Go on?")
    async with client(server) as engine:
        agent, samples = await through_the_agent(config, PersistentEngine(engine), tmp_path / "run", problem)
    draw = Draw(config, problem, samples, f"http://127.0.0.1:{server}/v1")
    vllms = await through_vllms_client(draw, str(PYTHON), str(hf_model("smollm2-135m")), tmp_path)
    assert vllms.tokens == agent.tokens > 8


def test_problems_in_flight_keep_the_engines_behind_one_url_busy(tmp_path: Path) -> None:
    """vLLM's own data parallelism stands in for a cluster: two engines behind one URL."""
    problems = list(starter_problems())[:4]
    write_problems(problems, tmp_path / "problems.csv")
    with serving(tmp_path, data_parallel_size=2) as port:
        flags = ["--profile", "cpu", "--url", f"http://127.0.0.1:{port}", "--problems-in-flight", "2", "--samples", "4"]
        flags += ["--problems", "problems.csv", "--run-dir", "run", "--time-limit", "200", "--set=sample.max_tokens=40"]
        agent = subprocess.run(
            [
                sys.executable,
                "-m",
                "agent.solve",
                *flags,
                "--no-check",
                "--set=stopping.rule=wait-for-all",
                "--set=engine.context_tokens=1024",
            ],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=True,
            capture_output=True,
            text=True,
        )
        tokens = [metric(port, "generation_tokens_total", engine) for engine in "01"]
    record = read_run(tmp_path / "run")
    assert {solution.problem_id for solution in record.solutions} == {problem.id for problem in problems}
    assert min(tokens) > 0.2 * sum(tokens)
    spans = {s.problem_id: (s.at - s.seconds, s.at) for s in record.solutions}
    overlapping = [a for a in spans for b in spans if a < b and spans[a][0] < spans[b][1] and spans[b][0] < spans[a][1]]
    assert overlapping, agent.stderr
