"""The engine of chat endpoints against a server that has nothing else, and refuses what such servers refuse."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientConnectorCertificateError
from aiohttp.client_reqrep import ConnectionKey

from agent.chat.dialects import chat_format
from agent.chat.task import CompetitionTask
from agent.config import load_config
from agent.editions import EDITIONS
from agent.engine.base import Chunk, SamplingParams
from agent.engine.chat_completion.engine import ChatEngine
from agent.engine.configured import open_engine
from agent.engine.connection import ServerConnection
from agent.engine.http import HttpEngine, api_url
from agent.errors import EngineUnavailableError, RequestRefusedError, StreamBrokenError
from agent.types import Problem
from tests.support.servers.chat_server import DROP, KNOWN, PEM, ChatServer, called, said, serving_chat
from tests.support.servers.field_rules import as_groq, as_mistral, as_openai

CHAT = chat_format("chat", tools=True)
PROMPT = CHAT.prompt(CompetitionTask(EDITIONS["aimo3"]), Problem("a", "How many?"))
PARAMS = SamplingParams(90, top_k=20, seed=3, stop=CHAT.stop_strings, answer_head=CHAT.answer_head)
FORCED = PARAMS._replace(forces_answer=True, max_tokens=24)
CALL = '<tool_call>\n{"name": "python", "arguments": {"code": "print(1)"}}\n</tool_call>'


@asynccontextmanager
async def opened(
    server: ChatServer, events: list[str] | None = None, *, probes: bool = False
) -> AsyncIterator[ChatEngine]:
    tell = events.append if events is not None else lambda text: None
    engine = ChatEngine(api_url(server.url), probes=probes, on_event=tell)
    try:
        await engine.ready()
        yield engine
    finally:
        await engine.close()


async def chunks_of(engine: HttpEngine, prompt: str = PROMPT, params: SamplingParams = PARAMS) -> list[Chunk]:
    async with aclosing(engine.stream(prompt, params)) as chunks:
        return [chunk async for chunk in chunks]


async def read(engine: HttpEngine, prompt: str = PROMPT, params: SamplingParams = PARAMS) -> str:
    return "".join(chunk.text for chunk in await chunks_of(engine, prompt, params))


async def test_a_reply_is_the_text_of_the_turn_with_the_servers_counts() -> None:
    deltas = [{"reasoning_content": "So"}, {"content": ""}, said("it is"), said(" \\boxed{7}")]
    with serving_chat(ChatServer(lambda body: deltas)) as server:
        async with opened(server) as engine:
            chunks = await chunks_of(engine)
    assert "".join(chunk.text for chunk in chunks) == "<think>\nSo\n</think>\n\nit is \\boxed{7}"
    assert sum(chunk.tokens for chunk in chunks) == 5 and chunks[-1].prompt_tokens == 20
    assert [chunk.finish for chunk in chunks if chunk.finish] == ["stop"]
    assert server.asked == ["/v1/models", "/version", "/props", "/v1/chat/completions"]


async def test_a_call_its_result_and_the_answer_are_two_requests() -> None:
    def reply(body: dict[str, Any]) -> list[Any]:
        return [said("It is 42.")] if body["messages"][-1]["role"] == "tool" else called("print(6 * 7)")

    with serving_chat(ChatServer(reply)) as server:
        async with opened(server) as engine:
            text = await read(engine) + "</tool_call>"
            assert (call := CHAT.call_scanner().feed(text)) and call.code == "print(6 * 7)"
            assert await read(engine, PROMPT + text + CHAT.tool_result("42")) == "It is 42."
    assert server.bodies[1]["messages"][-1]["content"] == "42"


@pytest.mark.parametrize("refuse", [as_openai, as_mistral, as_groq])
async def test_fields_that_the_server_does_not_know_are_left_out(refuse: Any) -> None:
    events: list[str] = []
    server = ChatServer(lambda body: [said("yes")], refuse=lambda body: refuse(body, KNOWN))
    with serving_chat(server):
        async with opened(server, events) as engine:
            assert [await read(engine), await read(engine)] == ["yes", "yes"]
    assert set(server.bodies[-1]) <= set(KNOWN) and len(server.bodies) == 2
    assert any("top_k" in event for event in events) and any("seed" in event for event in events)


async def test_a_server_without_tools_is_told_of_them_in_words_and_that_is_said() -> None:
    def refuse(body: dict[str, Any]) -> tuple[int, Any] | None:
        return (400, {"error": {"message": "gemma does not support tools"}}) if "tools" in body else None

    events: list[str] = []
    server = ChatServer(lambda body: [said("yes")], refuse=refuse)
    with serving_chat(server):
        async with opened(server, events) as engine:
            assert [await read(engine), await read(engine)] == ["yes", "yes"]
    assert server.refused == 1 and "# Tools" in server.bodies[0]["messages"][0]["content"]
    assert sum("takes no tools" in event and "chat-fenced" in event for event in events) == 1


async def test_a_server_that_refuses_an_empty_text_gets_none_beside_a_call() -> None:
    def refuse(body: dict[str, Any]) -> tuple[int, Any] | None:
        message = "messages: text content blocks must be non-empty"
        empty = any(each["content"] == "" for each in body["messages"])
        return (400, {"error": {"message": message}}) if empty else None

    server = ChatServer(lambda body: [said("yes")], refuse=refuse)
    called_before = f"{PROMPT}{CALL}{CHAT.tool_result('1')}"
    with serving_chat(server):
        async with opened(server) as engine:
            assert [await read(engine, called_before), await read(engine, called_before)] == ["yes", "yes"]
    assert server.refused == 1 and server.bodies[-1]["messages"][2]["content"] is None


async def test_a_newer_name_of_the_limit_is_learned() -> None:
    def refuse(body: dict[str, Any]) -> tuple[int, Any] | None:
        message = (
            "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        )
        return (400, {"error": {"message": message, "param": "max_tokens"}}) if "max_tokens" in body else None

    server = ChatServer(lambda body: [said("yes")], refuse=refuse)
    with serving_chat(server):
        async with opened(server) as engine:
            assert [await read(engine), await read(engine)] == ["yes", "yes"]
    assert server.refused == 1 and server.bodies[-1]["max_completion_tokens"] == 90


async def test_a_forced_answer_is_asked_for_and_read_out_of_its_box() -> None:
    server = ChatServer(lambda body: [{"reasoning": "hm"}, said("The answer is "), said("\\boxed{42}"), said(".")])
    with serving_chat(server):
        async with opened(server) as engine:
            forced = CHAT.force_answer("<think>\nSo it")
            chunks = await chunks_of(engine, PROMPT + "<think>\nSo it" + forced.inserted, FORCED)
    assert "".join(chunk.text for chunk in chunks) == "42}" and sum(chunk.tokens for chunk in chunks) == 5
    assert "stop" not in server.bodies[0], "a message of its own may have lines"


async def test_a_broken_stream_keeps_its_text_and_is_asked_to_be_continued() -> None:
    def reply(body: dict[str, Any]) -> list[Any]:
        return [said(" and 5")] if len(body["messages"]) > 2 else [{"reasoning": "So 4"}, DROP]

    server = ChatServer(reply)
    with serving_chat(server):
        async with opened(server) as engine:
            with pytest.raises(StreamBrokenError) as broken:
                await read(engine)
            assert broken.value.received == "<think>\nSo 4"
            assert await read(engine, PROMPT + broken.value.received) == "\n\n\n</think>\n\n and 5"
    assert [each["role"] for each in server.bodies[1]["messages"]] == ["system", "user", "assistant", "user"]


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"error": {"message": "upstream failed", "code": 500}}, StreamBrokenError),
        ({"error": {"message": "Rate limit reached", "code": 429}}, EngineUnavailableError),
        ({"error": {"message": "insufficient_quota", "code": 402}}, RequestRefusedError),
    ],
)
async def test_an_error_in_the_stream_is_told_from_the_text(event: dict[str, Any], error: type[Exception]) -> None:
    with serving_chat(ChatServer(lambda body: [said("It"), event])) as server:
        async with opened(server) as engine:
            with pytest.raises(error):
                await read(engine)


async def test_a_wrong_key_ends_the_start() -> None:
    server = ChatServer(lambda body: [], key="right")
    with serving_chat(server), pytest.raises(RequestRefusedError, match="answered 401"):
        async with opened(server, probes=True):
            pass


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (404, "404 page not found"),
        (404, '{"detail": "Not Found"}'),
        (405, "Method Not Allowed"),
        (501, "not implemented"),
        (404, '{"error": {"message": "This is a chat model and not supported in the v1/completions endpoint."}}'),
        (400, '{"error": {"message": "Completions are not supported for this model"}}'),
        (400, '{"error": {"message": "unknown_url: please use /v1/chat/completions"}}'),
    ],
)
async def test_a_server_that_completes_nothing_is_found_out_by_one_request(status: int, words: str) -> None:
    events: list[str] = []
    server = ChatServer(lambda body: [said("yes")], completions=status, words=words)
    with serving_chat(server):
        async with opened(server, events, probes=True) as engine:
            assert engine.chats and await read(engine) == "yes"
            await engine.ready()
    assert server.asked.count("/v1/completions") == 1
    assert sum("is sent messages" in event for event in events) == 1


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (200, 'data: {"choices": [{"text": "2", "finish_reason": "length"}]}\n\ndata: [DONE]\n\n'),
        (404, '{"error": {"message": "The model `served` does not exist", "code": "model_not_found"}}'),
        (400, '{"error": {"message": "temperature must be below 1"}}'),
        (500, "it crashed"),
    ],
)
async def test_a_server_that_may_complete_texts_is_asked_for_completions(status: int, words: str) -> None:
    events: list[str] = []
    server = ChatServer(lambda body: [said("yes")], completions=status, words=words)
    with serving_chat(server):
        async with opened(server, events, probes=True) as engine:
            assert not engine.chats
    assert server.asked.count("/v1/completions") == 1
    assert len(events) == ("engine.protocol = 'chat'" in "".join(events)) == (status == 500)


async def test_a_server_that_is_busy_is_asked_again_before_anything_is_settled() -> None:
    server = ChatServer(lambda body: [said("yes")], completions=429, words="Rate limit reached")
    with serving_chat(server):
        engine = ChatEngine(api_url(server.url), probes=True)
        with pytest.raises(EngineUnavailableError):
            await engine.ready()
        server.completions, server.words = 404, "404 page not found"
        await engine.ready()
        assert engine.chats
        await engine.close()


async def test_ollama_is_known_by_what_it_lists_and_costs_no_request() -> None:
    server = ChatServer(lambda body: [said("yes")], owner="library", completions=200)
    with serving_chat(server):
        async with opened(server, probes=True) as engine:
            assert engine.chats
    assert "/v1/completions" not in server.asked


@pytest.mark.parametrize(("protocol", "chats"), [("auto", True), ("chat", True), ("completions", False)])
async def test_the_configuration_says_how_the_server_is_spoken_to(protocol: str, chats: bool) -> None:
    with serving_chat(ChatServer(lambda body: [said("yes")])) as server:
        keys = {"engine.kind": "http", "engine.url": server.url, "engine.protocol": protocol}
        engine = open_engine(load_config("cpu", keys), None, Path("log"), lambda text: None)
        await engine.ready()
        assert isinstance(engine, HttpEngine) and engine.chats == chats
        assert server.asked.count("/v1/completions") == (protocol == "auto")
        if not chats:
            with pytest.raises(RequestRefusedError, match=r"set engine\.protocol to 'chat'$"):
                await read(engine)
        await engine.close()


async def test_requests_beyond_what_the_server_takes_at_a_time_are_refused_for_a_moment_only() -> None:
    server = ChatServer(lambda body: [said("yes")], most=1)
    with serving_chat(server):
        async with opened(server) as engine:
            results = await asyncio.gather(*(read(engine) for _ in range(4)), return_exceptions=True)
    refusals = [each for each in results if isinstance(each, EngineUnavailableError)]
    assert len(refusals) == server.busy > 0 and results.count("yes") == 4 - server.busy
    assert {each.retry_after for each in refusals} == {0.05}


async def test_a_certificate_of_the_servers_own_is_trusted_where_the_environment_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    with serving_chat(ChatServer(lambda body: [said("yes")]), tls=context) as server:
        with pytest.raises(RequestRefusedError, match="if you trust it, export SSL_CERT_FILE"):
            async with opened(server):
                pass
        monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
        async with opened(server) as engine:
            assert await read(engine) == "yes"


def test_a_certificate_of_another_name_or_time_is_no_matter_of_trust() -> None:
    cause = ssl.SSLCertVerificationError("certificate verify failed")
    key = ConnectionKey("host", 443, True, True, None, None, None)
    server = ServerConnection("https://host/v1")
    for code, words in (
        (10, "have that renewed"),
        (62, "have that renewed"),
        (18, "export SSL_CERT_FILE"),
        (20, "export"),
    ):
        cause.verify_code = code
        error = server.unreachable_error(ClientConnectorCertificateError(key, cause))
        assert isinstance(error, RequestRefusedError) and words in str(error)


@pytest.fixture(autouse=True)
def _without_certificates_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    yield
