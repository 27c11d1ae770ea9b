"""What the benchmark of the KV cache's precision reads and compares, against a server of known probabilities."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from agent.chat.dialects import chat_format
from agent.errors import EngineError
from agent.journal.journal import read_run
from tests.support.doubles import ScriptedEngine
from tests.support.servers.background_server import served
from tools.bench.kv_cache import Reading, ReadToken, Text, read_texts, right_samples

RECORDED = Path(__file__).parents[3] / "tools" / "recordings" / "practice-tools"


class CountingEngine(ScriptedEngine):
    """Every word is a token."""

    def __init__(self) -> None:
        super().__init__(lambda prompt, params: "")

    async def count_tokens(self, text: str) -> int | None:
        return len(text.split())


@asynccontextmanager
async def reader(places: list[dict[str, Any] | None], status: int = 200) -> AsyncIterator[str]:
    """The address of a server that reads every text so; what it was asked must be as vLLM takes it."""

    async def complete(request: web.Request) -> web.Response:
        asked = await request.json()
        assert (asked["max_tokens"], asked["prompt_logprobs"]) == (1, 1)
        told = {"choices": [{"prompt_logprobs": places[: len(asked["prompt"].split())]}]}
        return web.json_response(told if status == 200 else {"error": "too long"}, status=status)

    app = web.Application()
    app.router.add_post("/v1/completions", complete)
    async with served(app) as url:
        yield f"{url}/v1"


def place(logprob: float, *, best: str = "") -> dict[str, Any]:
    """A token 7 with its log-probability, and the token that is more likely there, if any is."""
    own = {"7": {"logprob": logprob, "rank": 2 if best else 1}}
    return own | ({best: {"logprob": -0.1, "rank": 1}} if best else {})


async def test_only_the_samples_tokens_count_and_the_most_likely_ones_are_told() -> None:
    places = [None, place(-9.0), place(-1.0), place(-3.0, best="8")]
    async with reader(places) as url:
        reading = await read_texts(CountingEngine(), [Text("two words ", "and two"), Text("two words ", "and")], url)
    assert reading.tokens == (ReadToken(-1.0, "7"), ReadToken(-3.0, "8"), ReadToken(-1.0, "7"))
    assert reading.perplexity == pytest.approx(math.exp(5 / 3))


async def test_a_server_that_refuses_a_text_is_an_engine_error() -> None:
    async with reader([], status=400) as url:
        with pytest.raises(EngineError, match="a sample could not be read by the server"):
            await read_texts(CountingEngine(), [Text("two words ", "and two")], url)


async def test_a_server_that_counts_no_tokens_is_an_engine_error() -> None:
    with pytest.raises(EngineError, match="counts no tokens: give the profile of a vLLM"):
        await read_texts(ScriptedEngine(lambda prompt, params: ""), [Text("a", "b")], "http://127.0.0.1:1/v1")


def test_two_readings_agree_where_both_expect_the_same_token() -> None:
    one = Reading((ReadToken(-1.0, "7"), ReadToken(-1.0, "8")))
    assert one.agreement(one) == 1
    assert one.agreement(Reading((ReadToken(-5.0, "7"), ReadToken(-1.0, "9")))) == 0.5


def test_right_samples_come_with_their_prompts_the_first_of_each_problem_before_the_seconds() -> None:
    run = read_run(RECORDED)
    texts = right_samples(run, 40)
    assert len(texts) == 40
    opening = chat_format(run.config.sample.family, tools=True).opening
    assert all(text.prompt.endswith(opening) for text in texts)
    assert len({text.prompt for text in texts[:20]}) == 20
    assert len(right_samples(run, 10_000)) == sum(
        sample.answer == next(problem.answer for problem in run.problems if problem.id == sample.problem_id)
        for sample in run.samples
    )
