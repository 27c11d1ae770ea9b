"""A real vLLM server of ours that wants a key: a file of its own, so that it runs beside the others."""

from __future__ import annotations

from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

from agent.config import EngineConfig, load_config
from agent.engine.base import SamplingParams
from agent.engine.http import HttpEngine
from agent.engine.process import free_port
from agent.engine.vllm.server import VllmEngine
from agent.errors import RequestRefusedError
from tests.support.processes import command_of
from tests.support.servers.vllm_installed import PYTHON, QUIET, hf_model, needs_vllm

pytestmark = needs_vllm

KEY = "a-key-of-the-test"


async def test_a_key_is_wanted_sent_and_nowhere_to_be_read(tmp_path: Path) -> None:
    port = free_port()
    config = EngineConfig(kind="vllm", model=str(hf_model("smollm2-135m")), context_tokens=512, port=port)
    profile = load_config("vllm-cpu").vllm
    settings = profile.model_copy(
        update={"python": str(PYTHON), "environment": {**profile.environment, **QUIET}, "max_num_seqs": 4}
    )
    events: list[str] = []
    engine = VllmEngine(config, settings, log_path=tmp_path / "log", on_event=events.append, api_key=KEY)
    stranger = HttpEngine(f"http://127.0.0.1:{port}/v1")
    try:
        await engine.ready()
        async with aclosing(engine.stream("1, 2, 3,", SamplingParams(4, temperature=0.0))) as chunks:
            assert "".join([chunk.text async for chunk in chunks])
        assert engine.context_tokens == 512
        with pytest.raises(RequestRefusedError, match=r"answered 401: Unauthorized.*--api-key-env"):
            await stranger.ready()
        commands = [command_of(child) for child in psutil.Process().children(recursive=True)]
        assert not any(KEY in word for command in commands for word in command)
        assert KEY not in (tmp_path / "log").read_text() + " ".join(events)
    finally:
        await stranger.close()
        await engine.close()
