"""Refusals of requests that are too long, in the words of many servers."""

from __future__ import annotations

from typing import Any

import pytest

from agent.errors import ContextExceededError, RequestRefusedError
from tests.agent.engine.test_server_errors import answered

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
def test_a_context_that_is_exceeded_is_recognized_in_many_wordings(
    status: int, body: object, tokens: int | None
) -> None:
    for wrapped in (body, {"object": "error", "message": body, "code": status} if isinstance(body, str) else body):
        error = answered(status, wrapped)
        assert isinstance(error, ContextExceededError)
        assert error.context_tokens == tokens


@pytest.mark.parametrize(
    ("named", "tokens"),
    [
        ("8192", 8_192),
        ("8,192", 8_192),
        ("8 192", 8_192),
        ("8\u202f192", 8_192),
        ("131,072", 131_072),
        ("1,048,576", 1_048_576),
        ("32k", 32_768),
        ("32K", 32_768),
        ("4 K", 4_096),
        ("63", None),
        ("8", None),
        ("0", None),
        ("64", 64),
        ("9" * 12, None),
    ],
)
@pytest.mark.parametrize(
    "sentence",
    [
        "This model's maximum context length is {} tokens. However, you requested 24049 tokens.",
        "Requested tokens (24049) exceed context window of {}",
        "the request exceeds the available context size ({} tokens)",
        "Prompt contains 24049 tokens, too large for model with {} maximum context length",
        "max_tokens=24000 cannot be greater than max_model_len={}.",
        "prompt is too long: 240049 tokens > {} maximum",
        "Total number of tokens 49 + 24000 exceeds the limit {}",
        "Your request exceeds the {}-token context window of this model",
    ],
)
def test_a_context_is_read_however_its_number_is_written(sentence: str, named: str, tokens: int | None) -> None:
    error = answered(400, {"error": {"message": sentence.format(named)}})
    assert isinstance(error, ContextExceededError) and error.context_tokens == tokens


def test_a_context_in_a_field_of_its_own_may_be_too_small_to_be_one() -> None:
    error = answered(400, {"error": {"message": "it exceeds the context size", "n_ctx": 4}})
    assert isinstance(error, ContextExceededError) and error.context_tokens is None


def validation(place: object, message: str) -> dict[str, Any]:
    return {"detail": [{"type": "value_error", "loc": place, "msg": message, "input": 24_000}]}


LIMITS: list[tuple[Any, int | None]] = [
    ("max_tokens is too large: 24000. This model supports at most 4096 completion tokens", None),
    ("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]", None),
    ("`max_tokens` must be less than or equal to `8192`", None),
    ("max_tokens must be less than or equal to 2048", None),
    ("max_tokens (or max_completion_tokens) too large: 24000", None),
    ("max_tokens must be between 1 and 4096", None),
    ("max_tokens: 24000 > 8192, which is the maximum allowed number of output tokens; it exceeds that", None),
    ("max_tokens (24000) exceeds limit of 4096", None),
    ("max_tokens cannot exceed 4096", None),
    ("max_tokens cannot be greater than 4096", None),
    ("max_tokens should be <= 4096", None),
    ("The value 24000 exceeds the largest allowed max_tokens", None),
    ("Invalid 'max_tokens': integer above maximum value. Expected a value <= 4096, but got 24000 instead.", None),
    ("`max_new_tokens` must be <= 512. Given: 24000", None),
    ("max_tokens: 24000 > 8192, which is the maximum allowed number of output tokens for this model", None),
    ("max_tokens is not allowed to be bigger than 4096", None),
    ("`max_tokens` must be smaller or equal to 4096", None),
    ("max_tokens is limited to 4096", None),
    ("max_tokens: must be 4096 or less", None),
    ("The maximum value for max_tokens is 4096", None),
    ("The max_tokens parameter is invalid: [1, 8192]", None),
    ("Value 24000 for max_tokens is invalid. The maximum allowed max_tokens is 4096.", None),
    ("Too many tokens requested: 24000", None),
    ("n_predict is too large: 24000", None),
    ("The sum of prompt length (49.0), query length (0) and max_tokens (24000) should not exceed max_num_tokens "
     "(4096)", 4_096),
    ("Total number of tokens 49 + 24000 exceeds the limit 4096", 4_096),
    ("input length and `max_tokens` exceed context limit: 1990 + 24000 > 4096, decrease one of them", 4_096),
    ("max_tokens 24000 is too large: the maximum sequence length is 4,096", 4_096),
    ("it has a maxOutputTokens value of 24000 but the supported range is from 1 (inclusive) to 4096 (exclusive)", None),
    (validation(["body", "max_tokens"], "Input should be less than or equal to 4096"), None),
    (validation(["body", "max_tokens"], "ensure this value is less than or equal to 4096"), None),
    (validation(["body", "max_completion_tokens"], "Input should be less than 4096"), None),
    ({"message": "Value must be <= 4096", "param": "max_tokens"}, None),
    ({"error": {"message": "Value must be at most 4096", "param": "max_tokens", "code": None}}, None),
]  # fmt: skip


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize(("body", "tokens"), LIMITS)
def test_more_tokens_asked_for_than_a_server_gives_is_a_context_exceeded(
    status: int, body: object, tokens: int | None
) -> None:
    error = answered(status, {"error": {"message": body, "code": status}} if isinstance(body, str) else body)
    assert isinstance(error, ContextExceededError) and error.context_tokens == tokens


@pytest.mark.parametrize(
    "body",
    [
        "max_tokens must be at least 1",
        "max_tokens must be at least 1, got 0.",
        "max_tokens must be greater than 0",
        "max_tokens should be greater than or equal to 1",
        "max_tokens cannot be less than 1",
        "max_tokens is not supported, use max_completion_tokens instead",
        "max_tokens must be an integer",
        "max_tokens must be a positive integer",
        "max_tokens must be specified",
        "max_tokens is too small: 0",
        "max_tokens and max_completion_tokens cannot both be set",
        "Unrecognized request argument: max_tokens",
        "temperature must be less than or equal to 2, got 30.",
        "best_of must be less than or equal to 20",
        "top_logprobs is too large: 50",
        "you sent 40 tokens per minute, which exceeds the limit 20",
        validation(["body", "max_tokens"], "Input should be greater than or equal to 1"),
        validation(["body", "max_tokens"], "ensure this value is greater than 0"),
        validation(["body", "max_tokens"], "Input should be a valid integer"),
        validation(["body", "temperature"], "Input should be less than or equal to 12"),
        validation(5, "Input should be less than or equal to 4096"),
        validation([None, 5, {}], "Input should be less than or equal to 4096"),
        {"message": "Value must be <= 20", "param": "top_logprobs"},
        {"message": "Value must be >= 1", "param": "max_tokens"},
    ],
)
def test_other_faults_of_a_request_are_no_context_exceeded(body: object) -> None:
    assert type(answered(400, {"error": {"message": body}} if isinstance(body, str) else body)) is RequestRefusedError


def test_of_a_context_only_such_statuses_tell() -> None:
    assert isinstance(answered(401, "a key for the maximum context length"), RequestRefusedError)
    assert isinstance(answered(400, "temperature must be in [0, 2], got 3."), RequestRefusedError)
