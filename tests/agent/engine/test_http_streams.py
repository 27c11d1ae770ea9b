"""The client against servers that send anything, end anyhow or fall silent."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.base import SamplingParams
from agent.engine.http import HttpEngine, api_url
from agent.errors import (
    ContextExceededError,
    EngineError,
    EngineUnavailableError,
    RequestRefusedError,
    StreamBrokenError,
)
from tests.support.servers.raw_server import RESET, SILENCE, Page, Piece, RawServer, serving_raw
from tests.support.tiers.cases import examples

PARAMS = SamplingParams(max_tokens=50)
COMPLETIONS = "/v1/completions"
DONE = b"data: [DONE]\n\n"


def said(text: str, reason: object = None) -> bytes:
    return b"data: " + json.dumps({"choices": [{"text": text, "finish_reason": reason}]}).encode() + b"\n\n"


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    with serving_raw({}) as server:
        yield server


async def outcome(
    server: RawServer, *pieces: Piece, stall: float = 5.0, **page: object
) -> tuple[str, str | EngineError]:
    """The text that was given on, and how it finished or what was raised."""
    server.pages[COMPLETIONS] = Page(list(pieces), **page)  # type: ignore[arg-type]
    engine = HttpEngine(api_url(server.url), stall_seconds=stall)
    text, finishes = "", list[str]()
    try:
        async with aclosing(engine.stream("go on", PARAMS)) as chunks:
            async for chunk in chunks:
                text += chunk.text
                finishes += [chunk.finish] if chunk.finish else []
    except EngineError as error:
        assert error.received == text
        return text, error
    finally:
        await engine.close()
    return text, ",".join(finishes)


@pytest.mark.parametrize(
    "pieces",
    [
        (said("it"), said("", "stop"), DONE),
        (said("it", "eos"), DONE),
        (said("it"), said("", "stop")),
        (said("it"), said("", "stop"), RESET),
        (said("it"), said("", "stop"), b"data: {garbage\n\n"),
        (said("it"), said("", "stop"), b'data: {"error": "too late"}\n\n'),
        (said("it"), said("", "stop"), DONE, b"data: {garbage\n\n", RESET),
        (said("it"), said("", "stop"), said("", "stop"), DONE),
        (said("it", "stop"), said(" Question: 1 + 1?"), said(" 2", "length"), DONE),
        (said("it"), DONE),
        (said("it"), DONE, RESET),
        (b'{"object": "text_completion", "choices": [{"text": "it", "finish_reason": null}]}',),
        (b'{"choices": [{"message": {"content": "it"}, "finish_reason": "stop"}], "usage": {"completion_tokens": 1}}',),
    ],
)
async def test_what_is_a_natural_end(server: RawServer, pieces: tuple[Piece, ...]) -> None:
    assert await outcome(server, *pieces) == ("it", "stop")


@pytest.mark.parametrize("status", [200, 201, 202, 203, 206, 226, 299])
async def test_any_status_of_success_is_one(server: RawServer, status: int) -> None:
    assert await outcome(server, said("it"), said("", "stop"), DONE, status=status) == ("it", "stop")
    text, error = await outcome(server, said("it"), status=status)
    assert text == "it" and type(error) is StreamBrokenError


async def test_a_status_that_says_that_there_is_no_body_is_refused(server: RawServer) -> None:
    _, error = await outcome(server, status=204)
    assert type(error) is RequestRefusedError


@pytest.mark.parametrize(
    "pieces",
    [
        (said("it"),),
        (said("it"), RESET),
        (said("it"), said("", "abort"), DONE),
        (said("it", ""), said("", "")),
        (said("it", ""), DONE),
        (said("it"), b"data: {garbage\n\n", said("", "stop"), DONE),
        (said("it"), b'data: {"choices": [{"te'),
        (said("it"), b'data: {"error": {"message": "lost a worker"}}\n\n', DONE),
        (said("it"), b"event: error\ndata: lost a worker\n\n", DONE),
        (said("it"), b"data: " + b'{"a":' * 50_000 + b"\n\n", DONE),
        (said("it"), b'data: {"choices": [{"text": {"a": "b"}}]}\n\n', DONE),
    ],
)
async def test_what_is_a_broken_stream_with_its_text(server: RawServer, pieces: tuple[Piece, ...]) -> None:
    text, error = await outcome(server, *pieces)
    assert text == "it" and type(error) is StreamBrokenError
    assert server.url in str(error)


async def test_an_end_without_any_text_is_broken_unless_a_reason_is_given(server: RawServer) -> None:
    assert type((await outcome(server, DONE))[1]) is StreamBrokenError
    assert type((await outcome(server))[1]) is StreamBrokenError
    assert await outcome(server, said("", "stop"), DONE) == ("", "stop")


async def blank_ends(server: RawServer, times: int, *others: bytes) -> list[str]:
    """How so many replies with empty reasons end, one engine reading them, `others` before them."""
    engine = HttpEngine(api_url(server.url))
    ends = []
    for body in [*others, *[said("it", "") + DONE] * times, said("", "") + DONE]:
        server.pages[COMPLETIONS] = Page([body])
        try:
            async with aclosing(engine.stream("go on", PARAMS)) as chunks:
                ends += [chunk.finish async for chunk in chunks if chunk.finish]
        except StreamBrokenError:
            ends.append("broken")
    await engine.close()
    return ends


async def test_empty_reasons_are_a_cut_unless_a_server_never_gives_another(server: RawServer) -> None:
    assert await blank_ends(server, 9) == ["broken"] * 7 + ["stop"] * 3
    assert await blank_ends(server, 9, said("it", "stop")) == ["stop"] + ["broken"] * 10


async def test_a_page_instead_of_a_stream_is_quoted(server: RawServer) -> None:
    _, error = await outcome(server, b"<html><body>Log in first</body></html>")
    assert type(error) is StreamBrokenError and "Log in first" in str(error)
    _, error = await outcome(server, b'{"detail": "Log in first"}')
    assert type(error) is StreamBrokenError and "Log in first" in str(error)


async def test_errors_in_a_stream_are_typed_by_what_they_say(server: RawServer) -> None:
    _, busy = await outcome(server, said("it"), b'data: {"error": {"message": "overloaded", "code": 529}}\n\n')
    assert type(busy) is EngineUnavailableError and busy.answered
    _, full = await outcome(server, b'data: {"error": {"message": "x", "code": 400, "n_ctx": 512, '
                                    b'"type": "exceed_context_size_error"}}\n\n')  # fmt: skip
    assert type(full) is ContextExceededError and full.context_tokens == 512


async def test_an_event_of_many_megabytes_is_read(server: RawServer) -> None:
    assert await outcome(server, said("x" * (6 << 20)), said("", "stop")) == ("x" * (6 << 20), "stop")


async def test_no_answer_within_the_time_is_a_server_that_does_not_serve(server: RawServer) -> None:
    _, error = await outcome(server, SILENCE, stall=0.2)
    assert type(error) is EngineUnavailableError and not error.answered
    assert "nothing came for 0.2 s" in str(error)


async def test_headers_and_then_nothing_is_a_broken_stream_where_no_other_gets_anything(server: RawServer) -> None:
    _, error = await outcome(server, b"", SILENCE, stall=0.2)
    assert type(error) is StreamBrokenError
    _, error = await outcome(server, b": ping\n\n", SILENCE, stall=0.2)
    assert type(error) is StreamBrokenError


async def test_silence_behind_the_end_is_not_waited_for(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.engine.stall._TRAILER_SECONDS", 0.1)
    began = time.monotonic()
    assert await outcome(server, said("it"), said("", "stop"), SILENCE, stall=60) == ("it", "stop")
    assert time.monotonic() - began < 20


async def test_a_server_that_does_not_stop_at_the_end_is_left(
    server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.engine.stall._TRAILER_SECONDS", 0.1)
    began = time.monotonic()
    more = [piece for _ in range(400) for piece in (said("more"), 0.05)]
    assert await outcome(server, said("it"), said("", "stop"), *more, stall=60) == ("it", "stop")
    assert time.monotonic() - began < 10


@pytest.mark.further
async def test_a_stream_in_the_servers_queue_is_not_broken_while_another_gets_tokens() -> None:
    """One stream takes three times as long as any may be silent; the other has its headers and waits."""
    slow = [piece for n in range(12) for piece in (said(f"{n} "), 0.1)]
    with serving_raw({COMPLETIONS: Page([*slow, said("", "stop"), DONE])}) as server:
        engine = HttpEngine(api_url(server.url), stall_seconds=0.4)

        async def read() -> str:
            async with aclosing(engine.stream("go on", PARAMS)) as chunks:
                return "".join([chunk.text async for chunk in chunks])

        first = asyncio.create_task(read())
        assert await asyncio.to_thread(server.came.wait, 10)
        server.pages[COMPLETIONS] = Page([b"", 1.2, said("late"), said("", "stop"), DONE])
        assert await read() == "late"
        assert (await first).startswith("0 1 2")
        await engine.close()


VALID = [said("a é "), b": ping\n\n", said("b"), b"data: : PROCESSING\n\n", said("c\ud83d"), said("", "stop"), DONE]
EDITS = st.lists(
    st.tuples(st.integers(0, 400), st.sampled_from(["cut", "drop", "insert", "flip"]), st.binary(max_size=6)),
    max_size=3,
)


def mutated(edits: list[tuple[int, str, bytes]]) -> tuple[int, bytes]:
    """A valid stream with edits, and how much of its beginning they leave alone."""
    body = b"".join(VALID)
    for place, edit, other in edits:
        end = {"cut": len(body), "drop": place + 7, "insert": place, "flip": place + len(other)}[edit]
        body = body[:place] + (b"" if edit in ("cut", "drop") else other) + body[end:]
    return min([len(b"".join(VALID)), *(place for place, _, _ in edits)]), body


@examples(60)
@given(EDITS)
def test_whatever_is_sent_only_errors_of_the_engine_come_and_no_text_before_the_fault_is_lost(
    server: RawServer, edits: list[tuple[int, str, bytes]]
) -> None:
    intact, body = mutated(edits)
    text, result = asyncio.run(outcome(server, body))
    ends = [len(b"".join(VALID[: n + 1])) for n in range(len(VALID))]
    before = sum(end <= intact for end in ends)
    sure = {0: "", 1: "a é ", 2: "a é ", 3: "a é b", 4: "a é b"}.get(before, "a é bc")
    assert text.startswith(sure)
    assert isinstance(result, EngineError) or result == "stop"


@examples(30)
@given(st.binary(max_size=60), st.sampled_from([200, 400, 413, 429, 500, 503]))
def test_whatever_is_answered_only_errors_of_the_engine_come(server: RawServer, body: bytes, status: int) -> None:
    text, result = asyncio.run(outcome(server, body, status=status))
    assert isinstance(result, EngineError)
    assert text == ""
