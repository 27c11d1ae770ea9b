"""What a request holds, on the real vLLM: no default of the model's applies, even where the server has taken it."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

from agent.engine.base import SamplingParams
from tests.agent.engine.vllm.test_vllm_real import client, serving
from tests.support.servers.vllm_installed import needs_vllm, tiny_model_with_defaults

pytestmark = needs_vllm

START, END = "<|im_start|>", "<|im_end|>"
PROMPT = f"{START}user\nHi{END}\n{START}assistant\nYo{END}\n{START}user\nSay hi{END}\n{START}assistant\n"


async def read(port: int, params: SamplingParams) -> str:
    async with client(port) as engine:
        return "".join([chunk.text async for chunk in engine.stream(PROMPT, params)])


def raw(port: int, **keys: Any) -> str:
    """The text that the server itself gives to a request with these fields."""
    body = {"prompt": PROMPT, "max_tokens": 4, "temperature": 0.0, **keys}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as page:
        return str(json.load(page)["choices"][0]["text"])


async def test_on_any_server_the_defaults_of_the_model_do_not_apply(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    model = tiny_model_with_defaults(folder)
    with serving(tmp_path, model=model, extra_args=("--generation-config", "auto")) as port:
        found = await read(port, SamplingParams(4, temperature=0.0))
        assert found == raw(port, repetition_penalty=1.0, top_k=0, min_p=0.0) != raw(port)
        sampled = SamplingParams(4, temperature=1.5, seed=1)
        drawn = raw(port, temperature=1.5, seed=1, repetition_penalty=1.0, top_k=0, min_p=0.0)
        assert await read(port, sampled) == drawn != found
