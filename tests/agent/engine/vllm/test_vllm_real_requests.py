"""What a request holds, on the real vLLM: control tokens show, and no default of the model's applies."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from agent.engine.base import Chunk, SamplingParams
from tests.agent.engine.vllm.test_vllm_real import client, serving
from tests.support.servers.vllm_installed import hf_model, needs_vllm

pytestmark = needs_vllm

START, END = "<|im_start|>", "<|im_end|>"
PROMPT = f"{START}user\nHi{END}\n{START}assistant\nYo{END}\n{START}user\nSay hi{END}\n{START}assistant\n"
DEFAULTS = {"do_sample": True, "repetition_penalty": 1.9, "top_k": 1, "min_p": 0.9, "max_new_tokens": 4}
GREEDY = SamplingParams(14, temperature=0.0, stop=(END,))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, with other sampling defaults than none."""
    folder = tmp_path_factory.mktemp("model")
    for path in hf_model("smollm2-135m").iterdir():
        (folder / path.name).symlink_to(path)
    config = folder / "generation_config.json"
    written = json.loads(config.read_text())
    config.unlink()
    config.write_text(json.dumps(written | DEFAULTS))
    return folder


async def read(port: int, params: SamplingParams = GREEDY) -> list[Chunk]:
    async with client(port) as engine:
        return [chunk async for chunk in engine.stream(PROMPT, params)]


def text_of(chunks: list[Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


def finish_of(chunks: list[Chunk]) -> str:
    return ",".join(chunk.finish for chunk in chunks if chunk.finish)


def raw(port: int, **keys: Any) -> str:
    """The text that the server itself gives to a request with these fields."""
    body = {"prompt": PROMPT, "max_tokens": 4, "temperature": 0.0, **keys}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=120) as page:
        return str(json.load(page)["choices"][0]["text"])


async def test_a_server_of_ours_takes_no_default_of_the_model_and_shows_its_control_tokens(
    model: Path, tmp_path: Path
) -> None:
    with serving(tmp_path, model=model) as port:
        found = await read(port)
        told = await read(port, SamplingParams(3, temperature=0.0))
    assert text_of(found).endswith(END) and finish_of(found) == "stop"
    assert sum(chunk.tokens for chunk in found) > DEFAULTS["max_new_tokens"]
    ids = [token for chunk in found for token in chunk.token_ids]
    assert ids[-1] == 2, "the end of the turn comes as a token, too"
    assert text_of(found).startswith(text_of(told)) and finish_of(told) == "length"


async def test_on_any_server_the_defaults_of_the_model_do_not_apply(model: Path, tmp_path: Path) -> None:
    with serving(tmp_path, model=model, extra_args=("--generation-config", "auto")) as port:
        found = text_of(await read(port, SamplingParams(4, temperature=0.0)))
        assert found == raw(port, repetition_penalty=1.0, top_k=0, min_p=0.0) != raw(port)
        sampled = SamplingParams(4, temperature=1.5, seed=1)
        drawn = raw(port, temperature=1.5, seed=1, repetition_penalty=1.0, top_k=0, min_p=0.0)
        assert text_of(await read(port, sampled)) == drawn != found
