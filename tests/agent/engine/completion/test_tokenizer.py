"""What is asked of a server's tokenizer: the start token that it adds, and the ids at which to stop."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agent.engine.base import SamplingParams
from agent.engine.http import HttpEngine, api_url
from agent.errors import EngineError
from tests.support.servers.raw_server import Page, RawServer, serving_raw

START = "<\uff5cbegin\u2581of\u2581sentence\uff5c>"
SGLANG = {"data": [{"id": "m", "owned_by": "sglang"}]}
PROPS = {"default_generation_settings": {"n_ctx": 4_096}, "bos_token": START}
TOKEN = {"tokens": [7], "count": 1}


def page(value: object) -> Page:
    return Page([json.dumps(value).encode()])


async def sent(pages: dict[str, object], *prompts: str | list[int]) -> tuple[list[dict[str, Any]], RawServer]:
    """The bodies of the completions that are requested for these prompts."""
    with serving_raw({path: page(value) for path, value in pages.items()}) as server:
        engine = HttpEngine(api_url(server.url))
        try:
            await engine.ready()
            for prompt in prompts:
                with pytest.raises(EngineError):
                    async for _ in engine.stream(prompt, SamplingParams(5, stop=("\n", "<|im_end|>"))):
                        pass
        finally:
            await engine.close()
    requests = zip(server.asked, server.bodies, strict=True)
    return [json.loads(body) for path, body in requests if path == "/v1/completions"], server


async def test_a_start_token_that_the_server_adds_is_left_out_of_the_prompt() -> None:
    llama = {"/v1/models": {"data": [{"id": "m"}]}, "/props": PROPS, "/tokenize": TOKEN}
    sglang = {"/v1/models": SGLANG, "/tokenize": TOKEN, "/detokenize": {"text": START}}
    for pages in (llama, sglang):
        bodies, _ = await sent(pages, f"{START}{START}a", "a", [1, 2])
        assert [body["prompt"] for body in bodies] == [f"{START}a", "a", [1, 2]]


@pytest.mark.parametrize(
    "pages",
    [
        {"/v1/models": {"data": [{"id": "m"}]}, "/props": PROPS, "/tokenize": {"tokens": []}},
        {"/v1/models": {"data": [{"id": "m"}]}, "/props": PROPS},
        {"/v1/models": {"data": [{"id": "m"}]}, "/props": PROPS | {"bos_token": None}, "/tokenize": TOKEN},
        {"/v1/models": {"data": [{"id": "m"}]}, "/tokenize": TOKEN, "/detokenize": {"text": START}},
        {"/v1/models": SGLANG, "/tokenize": TOKEN},
        {"/v1/models": SGLANG, "/tokenize": [1], "/detokenize": [2]},
        {"/v1/models": SGLANG, "/version": {"version": "0.32"}, "/tokenize": TOKEN, "/detokenize": {"text": START}},
    ],
)
async def test_a_prompt_is_sent_whole_to_a_server_of_which_it_is_not_known_that_it_adds_one(
    pages: dict[str, object],
) -> None:
    bodies, _ = await sent(pages, f"{START}a")
    assert bodies[0]["prompt"] == f"{START}a"


async def test_stop_strings_that_are_one_token_are_sent_as_ids_too_where_the_server_stops_at_ids() -> None:
    for extra in ({"/v1/models": SGLANG}, {"/v1/models": {"data": [{"id": "m"}]}, "/version": {"version": "0.32"}}):
        bodies, server = await sent({**extra, "/tokenize": TOKEN}, "a", "b")
        assert [body["stop_token_ids"] for body in bodies] == [[7], [7]]
        assert bodies[0]["stop"] == ["\n", "<|im_end|>"], "a line break may be part of many tokens"
        asked = [
            json.loads(body)["prompt"] for path, body in zip(server.asked, server.bodies, strict=True) if "/tok" in path
        ]
        assert asked.count("<|im_end|>") == 1 and "\n" not in asked
        bodies, _ = await sent({**extra, "/tokenize": {"tokens": [7, 8]}}, "a")
        assert "stop_token_ids" not in bodies[0]
    bodies, server = await sent({"/v1/models": {"data": [{"id": "m"}]}, "/tokenize": TOKEN}, "a")
    assert "stop_token_ids" not in bodies[0] and "/tokenize" not in server.asked
