from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.refusals import error_event, refusal, retry_after
from agent.errors import (
    ContextExceededError,
    EngineError,
    EngineUnavailableError,
    RequestRefusedError,
    StreamBrokenError,
)

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def answered(status: int, body: object = "", **headers: str) -> EngineError:
    text = body if isinstance(body, str) else json.dumps(body)
    return refusal("http://host/v1", status, text, headers, now=NOW)


@pytest.mark.parametrize("status", [408, 425, 429, 502, 503, 504, 520, 521, 522, 523, 524, 529])
def test_a_server_that_does_not_serve_just_now_is_waited_for(status: int) -> None:
    error = answered(status, "<html><head><title>Sorry</title></head><body><h1>Bad  Gateway</h1></body></html>")
    assert isinstance(error, EngineUnavailableError) and error.answered and error.retry_after is None
    assert str(error) == f"the engine at http://host/v1 answered {status}: Sorry Bad Gateway"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, {"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}),
        (400, {"message": "The model is loading, try again later"}),
        (404, {"error": "model qwq is still loading"}),
        (500, "The server is overloaded"),
        (500, {"detail": "No available workers (all circuits open)"}),
        (400, {"error": {"message": "Too many requests", "code": "rate_limit_exceeded"}}),
        (500, {"error": {"type": "overloaded_error", "message": "Overloaded"}}),
        (500, "Model is warming up"),
    ],
)
def test_a_server_that_says_not_yet_is_waited_for_whatever_its_status(status: int, body: object) -> None:
    assert isinstance(answered(status, body), EngineUnavailableError)


@pytest.mark.parametrize("status", [500, 507, 599])
def test_a_server_that_fails_is_tried_again(status: int) -> None:
    error = answered(status, {"error": {"message": "CUDA error: device-side assert"}})
    assert isinstance(error, StreamBrokenError) and "CUDA error" in str(error)


@pytest.mark.parametrize("status", [301, 400, 401, 402, 403, 404, 405, 422, 451, 501])
def test_a_refusal_for_good_is_told_in_the_servers_own_sentence(status: int) -> None:
    error = answered(status, {"error": {"message": "The model `x` does not exist.", "code": status}})
    assert isinstance(error, RequestRefusedError)
    assert str(error) == f"the engine at http://host/v1 answered {status}: The model `x` does not exist."


def test_an_account_without_money_is_not_waited_for() -> None:
    body = {"error": {"message": "You exceeded your current quota", "type": "insufficient_quota"}}
    assert isinstance(answered(429, body), RequestRefusedError)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"error": "Unauthorized"}, "Unauthorized"),
        ({"message": "no"}, "no"),
        ({"detail": "Not Found"}, "Not Found"),
        ({"detail": [{"loc": ["body"], "msg": "Field required", "input": "x" * 900}]}, "Field required"),
        ({"error": {"message": None, "code": 7}}, "code: 7"),
        ({"errors": [{"message": "first"}]}, "first"),
        ({"strange": 1}, '{"strange": 1}'),
        ("plain\n  words", "plain words"),
        ("", "it gave no reason"),
        ([1], "[1]"),
        ("[" * 10_000, "[" * 300),
        ("[" * 400 + "]" * 400, "[" * 300),
        ('{"message": ' * 400 + '"x"' + "}" * 400, '{"message": {'),
        ('{"error":' * 5_000, ""),
        ({"error": {"message": "x" * 1_000}}, "x" * 300),
    ],
)
def test_the_sentence_is_found_wherever_it_is(body: object, sentence: str) -> None:
    message = str(answered(418, body))
    assert message.startswith("the engine at http://host/v1 answered 418: ") and sentence in message
    assert len(message) < 400


CONTEXTS: list[tuple[int, Any, int | None]] = [
    (
        400,
        (
            "This model's maximum context length is 2048 tokens. However, you requested 2100 tokens (52 in "
            "the messages, 2048 in the completion). Please reduce the length of the messages or completion."
        ),
        2048,
    ),
    (
        400,
        (
            "This model's maximum context length is 2048 tokens. However, your prompt contains at least 2049"
            " input tokens, which exceeds this limit even without any output tokens."
        ),
        2048,
    ),
    (
        400,
        (
            "'max_tokens' or 'max_completion_tokens' is too large: 2048. This model's maximum context length"
            " is 1024 tokens and your request has 52 input tokens (2048 > 1024 - 52)."
        ),
        1024,
    ),
    (400, ("max_tokens=12288 cannot be greater than max_model_len=2048. Please request fewer output tokens."), 2048),
    (
        400,
        (
            "The decoder prompt (length 1500) is longer than the maximum model length of 1024. Make sure "
            "that `max_model_len` is no smaller than the number of text tokens."
        ),
        1024,
    ),
    (400, "Input length (1500) exceeds model's maximum context length (1024).", 1024),
    (
        400,
        (
            "Requested token count exceeds the model's maximum context length of 8192 tokens. You requested "
            "a total of 9000 tokens: 1000 tokens from the input messages and 8000 tokens for the completion."
        ),
        8192,
    ),
    (400, "The input (9000 tokens) is longer than the model's context length (8192 tokens).", 8192),
    (400, "Input length (9000 tokens) exceeds the maximum allowed length (8186 tokens).", 8186),
    (
        422,
        {
            "error": (
                "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 "
                "`inputs` tokens and 100 `max_new_tokens`"
            ),
            "error_type": "validation",
        },
        4096,
    ),
    (422, {"error": "Input validation error: `inputs` must have less than 1024 tokens. Given: 2000"}, None),
    (
        400,
        {
            "error": {
                "code": 400,
                "message": "the request exceeds the available context size, try increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 5000,
                "n_ctx": 4096,
            }
        },
        4096,
    ),
    (
        400,
        {
            "error": {
                "message": "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it"
            }
        },
        4096,
    ),
    (500, {"error": {"message": "context size has been exceeded"}}, None),
    (400, {"error": {"message": "This request is too big.", "code": "context_length_exceeded"}}, None),
    (400, "Requested tokens (5000) exceed context window of 4096", 4096),
    (400, "Prompt contains 40000 tokens, too large for model with 32768 maximum context length", 32768),
    (400, "prompt is too long: 200001 tokens > 200000 maximum", 200000),
    (400, "The prompt is too long: 9000, model maximum context length: 8191", 8191),
    (400, "Prompt length 5000 is greater than max_seq_len 4096", 4096),
    (400, "Please reduce the length of the messages or completion.", None),
    (413, "<html><h1>413 Request Entity Too Large</h1></html>", None),
]


@pytest.mark.parametrize(("status", "body", "tokens"), CONTEXTS)
def test_a_context_that_is_exceeded_is_told_in_many_words(status: int, body: object, tokens: int | None) -> None:
    for wrapped in (body, {"object": "error", "message": body, "code": status} if isinstance(body, str) else body):
        error = answered(status, wrapped)
        assert isinstance(error, ContextExceededError)
        assert error.context_tokens == tokens


def test_of_a_context_only_such_statuses_tell() -> None:
    assert isinstance(answered(401, "a key for the maximum context length"), RequestRefusedError)
    assert isinstance(answered(400, "temperature must be in [0, 2], got 3."), RequestRefusedError)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": " 1.5 "}, 1.5),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "99999999"}, 3_600.0),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": format_datetime(NOW + timedelta(seconds=30), usegmt=True)}, 30.0),
        ({"Retry-After": format_datetime(NOW - timedelta(days=30), usegmt=True)}, 0.0),
        ({"Retry-After": "Fri, 02 Jan 2026 03:04:15 -0000"}, 10.0),
        ({"Retry-After": "Fri, 99 Jan 99999 03:04:15 GMT"}, None),
        ({"retry-after-ms": "250", "Retry-After": "9"}, 0.25),
        ({}, None),
    ],
)
def test_how_long_a_server_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


def test_the_wait_goes_with_the_error() -> None:
    error = answered(503, "", **{"Retry-After": "5"})
    assert isinstance(error, EngineUnavailableError) and error.retry_after == 5.0


@pytest.mark.parametrize(
    "event", [{}, {"choices": [], "error": None}, {"error": ""}, {"error": {}}, {"choices": [1], "object": "error"}]
)
def test_what_is_no_error_in_a_stream(event: dict[str, Any]) -> None:
    assert error_event("here", event) is None


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"error": "out of slots"}, StreamBrokenError),
        ({"error": {"message": "out of slots", "code": 500}}, StreamBrokenError),
        ({"error": {"message": "out of slots", "code": 429}}, EngineUnavailableError),
        ({"error": {"message": "out of slots", "code": "429"}}, EngineUnavailableError),
        ({"error": {"message": "out of slots", "type": "overloaded_error"}}, EngineUnavailableError),
        ({"error": {"message": "out of slots", "code": 401}}, RequestRefusedError),
        ({"error": {"message": "out of slots", "code": "context_length_exceeded"}}, ContextExceededError),
        ({"object": "error", "message": "out of slots", "code": 503}, EngineUnavailableError),
        ({"type": "error", "message": "out of slots"}, StreamBrokenError),
        ({"error": ["out of slots"]}, StreamBrokenError),
        ({"error": {"message": "out of slots"}, "choices": [{"finish_reason": "error"}]}, StreamBrokenError),
    ],
)  # fmt: skip
def test_an_error_in_a_stream_is_of_the_kind_that_its_words_say(event: dict[str, Any], kind: type[EngineError]) -> None:
    error = error_event("http://host/v1", event)
    assert type(error) is kind
    assert "http://host/v1" in str(error) and "out of slots" in str(error)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "message", "code", "detail", "n_ctx", "type", "x"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


@given(st.integers(201, 599), JSON | st.text(), st.dictionaries(st.sampled_from(["Retry-After"]), st.text()))
def test_any_answer_is_one_of_the_errors(status: int, body: object, headers: dict[str, str]) -> None:
    error = answered(status, body, **headers)
    assert type(error) in (EngineUnavailableError, RequestRefusedError, ContextExceededError, StreamBrokenError)
    assert str(status) in str(error) and "\n" not in str(error)
    if isinstance(body, dict):
        told = error_event("here", body)
        assert told is None or isinstance(told, EngineError)
