"""A server that refuses a field is asked again without it, at once and from then on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.base import SamplingParams
from agent.engine.completion.refusals import FieldRefusals
from agent.engine.http import HttpEngine, api_url
from agent.errors import ContextExceededError, EngineError, RequestRefusedError, StreamBrokenError
from tests.support.servers.field_rules import BY_NAME, OPENAI, as_mistral, as_sglang, as_tgi
from tests.support.servers.scripted_server import Refuse, ScriptedServer, serving

PARAMS = SamplingParams(9, top_k=20, stop=("END",), seed=3)


async def read(engine: HttpEngine, params: SamplingParams = PARAMS) -> str:
    async with aclosing(engine.stream("go on", params)) as chunks:
        return "".join([chunk.text async for chunk in chunks])


async def replies(refuse: Refuse, *requests: SamplingParams) -> tuple[list[str], list[dict[str, Any]], list[str]]:
    """The replies to the requests one by one, all bodies that were sent, and what was reported."""
    events: list[str] = []
    with serving(ScriptedServer(lambda body: "it is so", refuse=refuse)) as server:
        engine = HttpEngine(api_url(server.url), on_event=events.append)
        try:
            await engine.ready()
            return [await read(engine, params) for params in requests], server.bodies, events
        finally:
            await engine.close()


@pytest.mark.parametrize("refuse", BY_NAME)
async def test_a_field_that_a_server_does_not_know_is_left_out_from_then_on(refuse: Callable[..., Any]) -> None:
    texts, bodies, events = await replies(refuse, PARAMS, PARAMS)
    assert texts == ["it is so"] * 2
    assert refuse(bodies[-1]) is None and refuse(bodies[-2]) is None, "the second request is taken at once"
    assert OPENAI.issuperset(bodies[-1]) and bodies[-1]["stop"] == ["END"] and bodies[-1]["seed"] == 3
    assert len(bodies) <= 9
    assert sum("top_k" in event for event in events) == 1 and not any("min_p" in event for event in events)
    assert sum("skip_special_tokens" in event for event in events) == 1


async def test_lanes_that_start_together_all_get_their_replies() -> None:
    with serving(ScriptedServer(lambda body: "it is so", refuse=as_mistral)) as server:
        engine = HttpEngine(api_url(server.url))
        try:
            await engine.ready()
            assert await asyncio.gather(*(read(engine) for _ in range(8))) == ["it is so"] * 8
        finally:
            await engine.close()


async def test_no_cut_is_spelled_as_the_server_takes_it() -> None:
    uncut = PARAMS._replace(top_k=0)
    texts, bodies, events = await replies(as_sglang, uncut, uncut, PARAMS)
    assert texts == ["it is so"] * 3 and [body["top_k"] for body in bodies] == [0, -1, -1, 20] and not events

    def positive(body: dict[str, Any]) -> tuple[int, Any] | None:
        return (400, {"error": "top_k must be positive"}) if body.get("top_k", 1) < 1 else None

    texts, bodies, events = await replies(positive, uncut, uncut)
    assert texts == ["it is so"] * 2 and [body.get("top_k") for body in bodies] == [0, -1, None, None] and not events


async def test_a_value_that_changes_nothing_is_left_out_where_it_is_refused() -> None:
    texts, bodies, events = await replies(as_tgi, PARAMS, PARAMS, PARAMS._replace(top_p=0.5))
    assert texts == ["it is so"] * 3 and not events
    assert [body.get("top_p") for body in bodies] == [1.0, None, None, 0.5], "another value is sent all the same"


async def test_a_refusal_may_come_as_an_event_of_a_stream_that_seems_to_have_begun() -> None:
    def in_a_stream(body: dict[str, Any]) -> tuple[int, Any] | None:
        refused = as_sglang(body)
        return refused and (200, refused[1])

    texts, bodies, _ = await replies(in_a_stream, PARAMS._replace(top_k=0), PARAMS)
    assert texts == ["it is so"] * 2 and [body["top_k"] for body in bodies] == [0, -1, 20]


async def test_a_complaint_about_a_value_of_the_users_is_theirs_to_read() -> None:
    def at_most_ten(body: dict[str, Any]) -> tuple[int, Any] | None:
        return (400, {"error": f"top_k must be at most 10, got {body['top_k']}"}) if body["top_k"] > 10 else None

    with pytest.raises(RequestRefusedError, match="top_k must be at most 10"):
        await replies(at_most_ten, PARAMS)


async def test_a_refusal_of_something_else_is_raised() -> None:
    for refused in ((404, {"error": "unknown model m"}), (400, {"error": "unknown field: prompt"}), (400, "no")):
        with pytest.raises(RequestRefusedError):
            await replies(lambda body, refused=refused: refused, PARAMS)  # type: ignore[misc]


SENT = {"top_k": 0, "min_p": 0.1, "seed": 1, "stop": ["x"], "skip_special_tokens": False, "repetition_penalty": 1.0}
WORD = st.sampled_from([*SENT, "unknown", "not supported", "max_top_k", "top_k-like", "top_k.", "'seed'", "field"])


def refused(words: str, kind: type[EngineError] = RequestRefusedError) -> EngineError:
    error = kind("refused")
    error.about = words
    return error


@given(st.lists(WORD, max_size=8).map(" ".join))
def test_whatever_is_refused_a_request_is_repeated_a_bounded_number_of_times(words: str) -> None:
    reported: list[str] = []
    refusals = FieldRefusals(reported.append)
    for _ in range(9):
        body = refusals.applied(SENT)
        assert body["stop"] == ["x"]
        if not refusals.learn(refused(words), body):
            break
    else:
        raise AssertionError("it would be repeated for ever")
    assert len(set(reported)) == len(reported)


def test_only_whole_names_in_a_refusal_count() -> None:
    for words in (
        "unknown field max_top_k",
        "unknown field top_k_cut",
        "the model seed-oss is not supported",
        "no top",
    ):
        assert not FieldRefusals(print).learn(refused(words), SENT), words
    for words in ("unknown field body.top_k: 0", "unknown 'top_k'", "[`top_k`] unknown", "top_k\n unexpected"):
        assert FieldRefusals(print).learn(refused(words), SENT), words
    assert not FieldRefusals(print).learn(refused("top_k failed", StreamBrokenError), SENT)
    assert not FieldRefusals(print).learn(refused("unknown top_k", ContextExceededError), SENT)
