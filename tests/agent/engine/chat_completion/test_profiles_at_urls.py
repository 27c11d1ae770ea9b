"""The profiles of hosted services and local servers, against servers that refuse what the real ones refuse."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest

from agent import Agent, Problem
from agent.config import load_config
from agent.engine.configured import open_engine
from agent.errors import ConfigError
from agent.types import Solution
from tests.support.doubles import ScriptedSandbox
from tests.support.servers.chat_server import KNOWN, PEM, ChatServer, called, said, serving_chat, with_tools
from tests.support.servers.field_rules import as_groq
from tests.support.servers.scripted_server import ScriptedServer, serving

KEY = "sk-of-the-test"
PROBLEM = Problem("p1", "What is 6 times 7?", 42)


async def solved(profile: str, url: str, **keys: Any) -> tuple[Solution, str, list[str]]:
    """The solution of a problem under a profile, the family that was asked by, and what was said meanwhile."""
    said_: list[str] = []
    keys = {"engine.url": url, "engine.check": "never", "sample.count": 3, "stopping.rule": "wait-for-all", **keys}
    config = load_config(profile, keys)
    engine = open_engine(config, None, Path("log"), said_.append)
    async with Agent(config, engine, ScriptedSandbox(seconds=0.0), on_engine_event=said_.append) as agent:
        return await agent.solve(PROBLEM), agent.config.sample.family, said_


@pytest.mark.further
async def test_a_hosted_service_over_https_with_a_key_limits_and_fields_that_it_does_not_know(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(PEM)
    monkeypatch.setenv("SSL_CERT_FILE", str(PEM))
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    server = ChatServer(with_tools, refuse=lambda body: as_groq(body, KNOWN), most=1, key=KEY)
    with serving_chat(server, tls=tls):
        solution, family, events = await solved("hosted", server.url)
    assert (solution.answer, family) == (42, "chat")
    assert server.busy and any("refuses the field top_k" in event for event in events)
    assert all(body["model"] == "qwen/qwq-32b" for body in server.bodies)


def test_a_hosted_service_without_its_key_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    with pytest.raises(ConfigError, match=r"no OPENROUTER_API_KEY: .*--api-key-env"):
        open_engine(load_config("hosted"), None, Path("log"), lambda text: None)


async def test_ollama_with_a_model_that_takes_no_tools() -> None:
    def reply(body: dict[str, Any]) -> list[Any]:
        asked = body["messages"][-1]["content"]
        call = '<tool_call>\n{"name": "python", "arguments": {"code": "print(6 * 7)"}}\n</tool_call>'
        return [said("It is \\boxed{42}.")] if "<tool_response>\n42" in asked else [said(call)]

    def refuse(body: dict[str, Any]) -> tuple[int, Any] | None:
        message = "registry.ollama.ai/library/gemma2:2b does not support tools"
        return (400, {"error": {"message": message, "type": "api_error"}}) if "tools" in body else None

    with serving_chat(ChatServer(reply, refuse=refuse, owner="library")) as server:
        solution, family, events = await solved("ollama", server.url)
    assert (solution.answer, family, solution.tool_runs) == (42, "chat", 3)
    assert sum("takes no tools" in event for event in events) == 1
    assert "/v1/completions" not in server.asked


async def test_lm_studio_with_whole_calls_and_one_request_at_a_time() -> None:
    def reply(body: dict[str, Any]) -> list[Any]:
        return [said("It is \\boxed{42}.")] if body["messages"][-1]["role"] == "tool" else called("print(6 * 7)", 1)

    with serving_chat(ChatServer(reply, most=1)) as server:
        solution, _, _ = await solved("lmstudio", server.url)
    assert solution.answer == 42 and server.busy and solution.tool_runs >= 2 and server.bodies[0]["model"] == "served"


@pytest.mark.parametrize(
    ("profile", "card", "told"),
    [
        (
            "llamacpp-server",
            {},
            {"/props": {"default_generation_settings": {"n_ctx": 8192}, "model_path": "/m/qwq.gguf"}},
        ),
        ("sglang", {"owned_by": "sglang", "root": "Qwen/QwQ-32B"}, {}),
    ],
)
async def test_servers_that_complete_texts_are_sent_texts_without_being_tried(
    profile: str, card: dict[str, Any], told: dict[str, Any]
) -> None:
    server = ScriptedServer(lambda body: "so</think>\\boxed{42}", card=card, told=told)
    with serving(server):
        solution, family, _ = await solved(profile, server.url)
    assert (solution.answer, family) == (42, "qwq-calls")
    assert len(server.bodies) == solution.samples_started
