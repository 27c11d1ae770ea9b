"""A vLLM server of ours that does not come back at once, wants a key, or has a shorter context than configured."""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from agent.config import EngineConfig, VllmConfig
from agent.engine.base import SamplingParams
from agent.engine.http import HttpEngine
from agent.engine.process import free_port
from agent.engine.vllm import server as vllm
from agent.engine.vllm.server import VllmEngine
from agent.errors import ContextExceededError, EngineError, EngineUnavailableError, RequestRefusedError
from tests.support.servers.vllm_doubles import FakeVllm, fake_vllm, plan

pytestmark = pytest.mark.process

REPLY = "So it is 42."


async def read(engine: VllmEngine, prompt: str = "go on", max_tokens: int = 100) -> str:
    async with aclosing(engine.stream(prompt, SamplingParams(max_tokens))) as chunks:
        return "".join([chunk.text async for chunk in chunks])


def sequences(fake: FakeVllm) -> list[str]:
    return [flags[flags.index("--max-num-seqs") + 1] for flags in fake.starts]


async def test_failed_restarts_are_not_final_and_later_ones_use_the_settings_that_worked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = ["oom", "serve", "crash", "crash", "serve"]
    async with fake_vllm(tmp_path, reply=REPLY, starts=starts) as fake:
        await fake.engine.ready()
        os.kill(fake.server, signal.SIGKILL)
        for _ in range(2):  # the second one within the time in which none is started
            with pytest.raises(EngineUnavailableError, match="the model has no layers"):
                await fake.engine.ready()
        assert sequences(fake) == ["16", "8", "8", "4"]
        with pytest.raises(EngineUnavailableError, match="not running"):
            await read(fake.engine)
        monkeypatch.setattr(vllm, "_RETRY_COOLDOWN_SECONDS", 0.0)
        await fake.engine.ready()
        assert sequences(fake) == ["16", "8", "8", "4", "8"]
        assert await read(fake.engine) == REPLY
    assert not fake.alive()


async def test_a_server_to_be_measured_is_started_with_its_own_settings_or_not_at_all(tmp_path: Path) -> None:
    async with fake_vllm(tmp_path, reply=REPLY, starts=["oom", "serve"], restarts=False) as fake:
        with pytest.raises(EngineUnavailableError, match="CUDA out of memory"):
            await fake.engine.ready()
        assert sequences(fake) == ["16"]


async def test_a_server_to_be_measured_does_not_come_back(tmp_path: Path) -> None:
    async with fake_vllm(tmp_path, reply=REPLY, restarts=False) as fake:
        await fake.engine.ready()
        await fake.engine.ready()  # which starts none while it is up
        os.kill(fake.server, signal.SIGKILL)
        with pytest.raises(RequestRefusedError, match="the vLLM server is down"):
            await fake.engine.ready()
        assert sequences(fake) == ["16"]


async def test_a_failed_first_start_is_reported_as_an_unavailable_engine(tmp_path: Path) -> None:
    async with fake_vllm(tmp_path, reply=REPLY, starts=["crash"]) as fake:
        with pytest.raises(EngineUnavailableError, match="the model has no layers") as caught:
            await fake.engine.ready()
        assert not caught.value.answered


async def test_an_interpreter_without_vllm_is_no_matter_of_waiting(tmp_path: Path) -> None:
    settings = VllmConfig(python=sys.executable)
    engine = VllmEngine(EngineConfig(model="m"), settings, log_path=tmp_path / "log", on_event=lambda text: None)
    with pytest.raises(EngineError, match="has no vLLM") as caught:
        await engine.ready()
    assert type(caught.value) is EngineError
    await engine.close()


async def test_a_port_that_is_still_held_is_named_and_no_smaller_server_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm, "_RETRY_COOLDOWN_SECONDS", 0.0)
    port = free_port()
    settings = VllmConfig(environment=plan(tmp_path, reply=REPLY))
    config = EngineConfig(kind="vllm", model="m", port=port)
    engine = VllmEngine(config, settings, log_path=tmp_path / "log", on_event=lambda text: None)
    fake = FakeVllm(engine, tmp_path)
    try:
        with socket.create_server(("127.0.0.1", port)), pytest.raises(EngineUnavailableError) as caught:
            await engine.ready()
        assert f"port {port} cannot be used" in str(caught.value) and "an earlier server" in str(caught.value)
        assert fake.starts == []
        await engine.ready()
        assert fake.port == port
        os.kill(fake.server, signal.SIGKILL)
        await engine.ready()
        assert sequences(fake) == ["16", "16"]
    finally:
        await engine.close()


@pytest.mark.parametrize("way", ["given", "in its arguments", "in its environment"])
async def test_a_server_of_ours_that_wants_a_key_gets_it(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VLLM_API_KEY", raising=False)
    settings = VllmConfig(
        environment=plan(tmp_path, reply=REPLY) | ({"VLLM_API_KEY": "secret"} if way == "in its environment" else {}),
        extra_args=("--api-key", "secret") if way == "in its arguments" else (),
    )
    engine = VllmEngine(
        EngineConfig(kind="vllm", model="m"),
        settings,
        log_path=tmp_path / "log",
        on_event=lambda text: None,
        api_key="secret" if way == "given" else None,
    )
    fake = FakeVllm(engine, tmp_path)
    try:
        await engine.ready()
        assert await read(engine) == REPLY
        stranger = HttpEngine(f"http://127.0.0.1:{fake.port}/v1")
        with pytest.raises(RequestRefusedError, match="answered 401"):
            await stranger.ready()
        await stranger.close()
        assert ("secret" in fake.starts[0]) is (way == "in its arguments")
    finally:
        await engine.close()


async def test_a_shorter_context_is_learned_and_what_exceeds_it_is_reported_as_such(tmp_path: Path) -> None:
    async with fake_vllm(tmp_path, reply=REPLY, max_model_len=300) as fake:
        assert fake.engine.context_tokens is None and await fake.engine.count_tokens("1, 2") is None
        await fake.engine.ready()
        assert fake.engine.context_tokens == 300
        assert await fake.engine.count_tokens("1, 2 is a list") == 4 + 3 + 3
        with pytest.raises(ContextExceededError) as caught:
            await read(fake.engine, "1, " * 90, 100)
        assert caught.value.context_tokens == 300
        assert await read(fake.engine, "1, " * 60, 100) == REPLY


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        (SamplingParams(0), "max_tokens must be at least 1, got 0"),
        (SamplingParams(5, temperature=-1), "temperature must be non-negative"),
        (SamplingParams(5, top_k=-2), "top_k must be 0"),
        (SamplingParams(5, stop=("",)), "stop cannot contain an empty string"),
    ],
)
async def test_the_stand_in_refuses_what_vllm_refuses(params: SamplingParams, complaint: str, tmp_path: Path) -> None:
    async with fake_vllm(tmp_path, reply=REPLY) as fake:
        await fake.engine.ready()
        with pytest.raises(RequestRefusedError, match=complaint):
            async for _ in fake.engine.stream("go on", params):
                pass
