"""The client of the completions API: what it sends, streams and raises."""

from __future__ import annotations

import asyncio
import socket
from contextlib import aclosing
from typing import Any

import pytest

from agent.engine.base import Engine, SamplingParams
from agent.engine.http import HttpEngine, api_url
from agent.errors import EngineError
from tests.support.servers.scripted_server import BREAK, GARBAGE, SILENCE, ScriptedServer, serving

PARAMS = SamplingParams(max_tokens=50, temperature=0.7, top_p=0.9, top_k=40, seed=5, stop=("END",))


async def read(engine: Engine, prompt: str | list[int] = "go on") -> tuple[str, int, list[str]]:
    text, tokens, finishes = "", 0, []
    async with aclosing(engine.stream(prompt, PARAMS)) as chunks:
        async for chunk in chunks:
            text += chunk.text
            tokens += chunk.tokens
            finishes += [chunk.finish] if chunk.finish else []
    return text, tokens, finishes


async def read_from(server: ScriptedServer, stall_seconds: float = 10) -> tuple[str, int, list[str]]:
    engine = HttpEngine(api_url(server.url), stall_seconds=stall_seconds)
    try:
        await engine.ready()
        return await read(engine)
    finally:
        await engine.close()
        await engine.close()


async def test_streams_text_counts_tokens_as_the_server_does_and_says_why_it_ended() -> None:
    with serving(ScriptedServer(lambda body: "it is π²")) as server:
        assert await read_from(server) == ("it is π²", 4, ["stop"])


async def test_what_is_asked_of_the_server() -> None:
    with serving(ScriptedServer(lambda body: "yes")) as server:
        engine = HttpEngine(api_url(server.url))
        await engine.ready()
        await read(engine, [1, 2, 3])
        await engine.close()
    asked: dict[str, Any] = server.bodies[0]
    assert asked["prompt"] == [1, 2, 3]
    assert (asked["model"], asked["seed"], asked["stop"], asked["stream"]) == ("scripted", 5, ["END"], True)
    assert (asked["temperature"], asked["top_p"], asked["top_k"], asked["min_p"]) == (0.7, 0.9, 40, 0.0)


@pytest.mark.parametrize("fault", [BREAK, GARBAGE, SILENCE])
async def test_a_failing_stream_raises_one_typed_error_with_what_was_received(fault: str) -> None:
    with (
        serving(ScriptedServer(lambda body: f"the start {fault}")) as server,
        pytest.raises(EngineError, match="the stream from http") as caught,
    ):
        await read_from(server, stall_seconds=0.5)
    assert caught.value.received == "the start"


async def test_a_refusal_is_reported_in_the_servers_words() -> None:
    with (
        serving(ScriptedServer(lambda body: "", status=503)) as server,
        pytest.raises(EngineError, match="answered 503: scripted refusal"),
    ):
        await read_from(server)


async def test_an_error_event_is_reported_in_the_servers_words() -> None:
    server = ScriptedServer(lambda body: "a")

    async def failing(reply: str, request: Any, response: Any) -> None:
        await response.write(b'data: {"error": {"message": "out of slots"}}\n\n')

    server._stream = failing  # type: ignore[method-assign]
    with serving(server), pytest.raises(EngineError, match="out of slots"):
        await read_from(server)


async def test_closing_the_stream_drops_the_connection() -> None:
    with serving(ScriptedServer(lambda body: "on " * 1000, pause=0.01)) as server:
        engine = HttpEngine(api_url(server.url))
        async with aclosing(engine.stream("go on", PARAMS)) as chunks:
            async for _ in chunks:
                break
        assert await asyncio.to_thread(server.dropped.wait, 5)
        await engine.close()


async def test_an_address_at_which_no_server_answers_is_an_error() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        engine = HttpEngine(f"http://127.0.0.1:{free.getsockname()[1]}/v1")
        with pytest.raises(EngineError, match=r"no engine answers at .*; start a server there or give another --url"):
            await engine.ready()
    await engine.close()


async def test_text_that_is_not_a_url_is_an_error() -> None:
    engine = HttpEngine("nonsense")
    with pytest.raises(EngineError, match="no engine answers at nonsense"):
        await engine.ready()
    await engine.close()


def test_the_base_of_the_protocol() -> None:
    assert api_url("http://host:8000") == api_url("http://host:8000/") == api_url("http://host:8000/v1/")
