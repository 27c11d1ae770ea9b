"""Parts of the benchmarks: dummy models, clients, idle streams, bare forks."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import web

from agent.engine.base import SamplingParams
from agent.engine.persistent import PersistentEngine
from agent.engine.sse import EventParser
from agent.engine.wire import ReplyReader
from agent.errors import InputError
from agent.types import Problem
from tests.support.doubles import ScriptedEngine, config_with
from tests.support.servers.background_server import served
from tests.support.servers.vllm_doubles import fake_vllm
from tools.bench.bare_sessions import BareSession
from tools.bench.clients import Draw, through_a_bare_client, through_the_agent
from tools.bench.dummy_model import ARCHITECTURES, write_dummy
from tools.bench.idle import IdleWatch
from tools.bench.lane import _measure
from tools.bench.paced_server import stream_events, tokens_of_text


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_dummy_is_an_architecture_with_somebodys_tokenizer(architecture: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    folder = write_dummy(architecture, tmp_path, tmp_path / "dummy")
    config = json.loads((folder / "config.json").read_text())
    assert config["model_type"] == "qwen2" and (folder / "tokenizer.json").exists()
    assert config["hidden_size"] % config["num_attention_heads"] == 0
    assert config["num_attention_heads"] % config["num_key_value_heads"] == 0


def test_a_dummy_without_a_tokenizer_is_reported(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no tokenizer\.json: give --tokenizer"):
        write_dummy("tiny", tmp_path, tmp_path / "dummy")


@pytest.mark.parametrize("each", [1, 4, 7])
def test_what_is_played_as_a_stream_is_read_as_one_of_vllm(each: int) -> None:
    parser, reader = EventParser(), ReplyReader()
    events = [event for piece in stream_events(3, 50, each) for event in parser.feed(piece)]
    chunks = [reader.read(event) for event in events if event is not None]
    pieces = tokens_of_text(3, 50)
    assert "".join(chunk.text for chunk in chunks) == "".join(pieces)
    assert [chunk.tokens for chunk in chunks[:-2]] == [each] * (len(chunks) - 2)
    assert all(chunk.aligned for chunk in chunks[:-1]) and chunks[0].prompt_ids and chunks[-1].cached_tokens
    assert (events[-1], reader.finish, sum(chunk.tokens for chunk in chunks)) == (None, "length", 50)
    assert tokens_of_text(4, 50) != pieces


@pytest.mark.long
@pytest.mark.process
async def test_the_loop_is_measured_beside_clients_that_only_read() -> None:
    (cost,) = await _measure([2], ["model-4"], tokens=24, repeats=1, step=0.001)
    assert (cost.lanes, cost.event_tokens) == (2, 4)
    assert min(cost.agent, cost.parse, cost.read) > 0


@pytest.mark.process
async def test_both_clients_draw_the_same_samples(tmp_path: Path) -> None:
    """The bare client draws again what the agent has drawn."""
    config = config_with(
        sample__count=3, sample__tools=False, sample__max_tokens=40, sample__answer_tokens=0, stopping__margin=9
    )
    problem = Problem("p", "Go on?")
    async with fake_vllm(tmp_path, reply="word " * 200) as fake:
        await fake.engine.ready()
        agent, samples = await through_the_agent(config, PersistentEngine(fake.engine), tmp_path / "run", problem)
        bare = await through_a_bare_client(Draw(config, problem, samples, f"http://127.0.0.1:{fake.port}/v1"))
    assert agent.tokens == bare.tokens == 3 * 40
    assert agent.per_second > 0 and bare.seconds > 0


@pytest.mark.parametrize(("running", "share"), [(0.0, 1.0), (2.0, 0.0)])
@pytest.mark.further
async def test_a_server_that_does_nothing_for_an_open_stream_is_idle(running: float, share: float) -> None:
    async def metrics(request: web.Request) -> web.Response:
        return web.Response(text=f'vllm:num_requests_running{{engine="0"}} {running}\nother 5\n')

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    async with served(app) as url:
        watch = IdleWatch(ScriptedEngine(lambda prompt, params: "word " * 20, 0.1), f"{url}/v1")
        await asyncio.gather(*(through(watch) for _ in range(3)))
    assert watch.idle_share == share


async def through(watch: IdleWatch) -> None:
    async for _ in watch.stream("go on", SamplingParams(50)):
        pass


@pytest.mark.process
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
async def test_a_bare_fork_answers_until_an_expression_fails() -> None:
    session = BareSession()
    try:
        assert await session.run("1 + 1") == "2\n"
        assert await session.run("'a' * 3") == "'aaa'\n"
        with pytest.raises(EOFError):
            await session.run("1 / 0")
    finally:
        session.close()
