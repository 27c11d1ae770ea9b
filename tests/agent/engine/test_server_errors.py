"""Which refusals of a server are waited out, retried, or final."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.chat_completion.manner import ChatManner
from agent.engine.server_errors import event_error, response_error, retry_after
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
    return response_error("http://host/v1", status, text, headers, now=NOW)


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


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (400, "Failed to call a function. Please adjust your prompt. See 'failed_generation'.", "tool_use_failed"),
        (400, "Tool choice is none, but model called a tool", "tool_use_failed"),
        (400, "tool call validation failed: attempted to call tool 'search' which was not in request.tools", None),
        (500, "Failed to parse tool call arguments as JSON: unexpected end of input", "server_error"),
        (500, "Failed to parse input at pos 12: <tool_call>", "server_error"),
    ],
)
def test_a_call_of_the_models_that_the_server_cannot_read_ends_no_run(
    status: int, message: str, code: str | None
) -> None:
    error = answered(status, {"error": {"message": message, "type": "invalid_request_error", "code": code}})
    assert type(error) is StreamBrokenError
    body = {"tools": [{}], "messages": [{"role": "user"}], "max_tokens": 7}
    assert not ChatManner(lambda text: None).learn(error, body)


@pytest.mark.parametrize("status", [500, 507, 599])
def test_a_server_that_fails_is_tried_again(status: int) -> None:
    error = answered(status, {"error": {"message": "CUDA error: device-side assert"}})
    assert isinstance(error, StreamBrokenError) and "CUDA error" in str(error)


@pytest.mark.parametrize("status", [301, 400, 401, 402, 403, 404, 405, 422, 451, 501])
def test_a_refusal_for_good_is_reported_in_the_servers_own_sentence(status: int) -> None:
    error = answered(status, {"error": {"message": "The model `x` does not exist.", "code": status}})
    assert isinstance(error, RequestRefusedError)
    assert str(error) == f"the engine at http://host/v1 answered {status}: The model `x` does not exist."


NO_ENTRY: list[dict[str, Any]] = [
    {"error": {"code": "invalid_api_key", "type": "authentication_error", "message": "no"}},
    {"error": {"message": "no", "type": "auth_error", "param": "None", "code": "401"}},
    {"error": {"message": "no", "code": 401}},
    {"error": {"message": "no", "type": "permission_error"}},
    {"error": {"message": "Incorrect API key provided: sk-1. You can find your API key at a page."}},
    {"error": {"message": "API key not valid. Please pass a valid API key."}},
    {"error": {"message": "Authentication Error, No api key passed in.", "type": "auth_error"}},
    {"error": "Unauthorized"},
    {"error": "unauthorised: missing access token"},
    {"detail": "Invalid API key"},
    {"detail": "Not authenticated"},
    {"message": "Invalid credentials"},
    {"message": "Your API key has expired"},
]


@pytest.mark.parametrize("body", NO_ENTRY)
def test_a_wrong_key_is_refused_whatever_the_status(body: dict[str, Any]) -> None:
    for status in (400, 404, 500):
        assert type(answered(status, body)) is RequestRefusedError
    assert type(event_error("http://host/v1", body)) is RequestRefusedError


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "The authorization service is overloaded", "type": "auth_error"}},
        {"error": {"message": "authentication failed, try again later"}},
    ],
)
def test_a_server_that_cannot_look_at_a_key_just_now_is_waited_for(body: dict[str, Any]) -> None:
    assert type(answered(500, body)) is EngineUnavailableError
    assert type(answered(502, "<h1>Unauthorized upstream</h1>")) is EngineUnavailableError


@pytest.mark.parametrize(
    "message", ["invalid token id in the batch", "a key error: '401'", "Permission denied: '/tmp/lock'"]
)
def test_other_words_on_keys_and_tokens_are_a_failure_of_the_server(message: str) -> None:
    assert type(answered(500, {"error": {"message": message}})) is StreamBrokenError


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
    assert event_error("here", event) is None


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
    error = event_error("http://host/v1", event)
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
        told = event_error("here", body)
        assert told is None or isinstance(told, EngineError)
