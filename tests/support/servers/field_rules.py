"""Fields of a request that servers do not take, refused in the words of those that really do so."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

OPENAI = frozenset(
    (
        *("model", "prompt", "suffix", "max_tokens", "stop", "n", "best_of", "echo", "seed", "user", "logit_bias"),
        *("temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "stream", "stream_options"),
    )
)
"""The fields of the OpenAI protocol."""

_EXTRA = "Extra inputs are not permitted"

Body = Mapping[str, Any]
Refusal = tuple[int, Any] | None


def _unknown(body: Body, known: Collection[str]) -> list[str]:
    return [key for key in body if key not in known]


def as_openai(body: Body, known: Collection[str] = OPENAI) -> Refusal:
    """All of them at once, in the message."""
    fields = _unknown(body, known)
    message = f"Unrecognized request argument{'s' * (len(fields) > 1)} supplied: {', '.join(fields)}"
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return (400, {"error": error}) if fields else None


def as_openais_later(body: Body, known: Collection[str] = OPENAI) -> Refusal:
    """One of them, as the parameter."""
    for field in _unknown(body, known):
        message = f"Unknown parameter: '{field}'."
        error = {"message": message, "type": "invalid_request_error", "param": field, "code": "unknown_parameter"}
        return 400, {"error": error}
    return None


def as_mistral(body: Body, known: Collection[str] = OPENAI) -> Refusal:
    """As pydantic lists them, where only the places name the fields."""
    details = [
        {
            "type": "extra_forbidden",
            "loc": ["body", field],
            "msg": "Extra inputs are not permitted",
            "input": body[field],
        }
        for field in _unknown(body, known)
    ]
    return (422, {"detail": details}) if details else None


def as_mistral_of_late(body: Body, known: Collection[str] = OPENAI) -> Refusal:
    """The same list within the message."""
    refusal = as_mistral(body, known)
    error = {"object": "error", "type": "invalid_request_error", "param": None, "code": None}
    return (422, error | {"message": refusal[1]}) if refusal else None


def as_fireworks(body: Body, known: Collection[str] = OPENAI) -> Refusal:
    """One of them, in the message."""
    for field in _unknown(body, known):
        message = f"{_EXTRA}, field: '{field}', value: {body[field]}"
        return 400, {"error": {"object": "error", "type": "invalid_request_error", "message": message}}
    return None


def as_groq(body: Body, known: Collection[str] = OPENAI) -> Refusal:
    """One of them, as a property."""
    for field in _unknown(body, known):
        message = f"property '{field}' is unsupported"
        return 400, {"error": {"message": message, "type": "invalid_request_error"}}
    return None


def as_nim(body: Body, known: Collection[str] = OPENAI) -> Refusal:
    """All of them, in a text of several lines."""
    lines = [
        f"body -> {field}\n  Extra inputs are not permitted (type=extra_forbidden)" for field in _unknown(body, known)
    ]
    page = {"type": "urn:inference-service:problem-details:unprocessable-entity", "title": "Unprocessable Entity"}
    return (422, page | {"status": 422, "detail": "\n".join(lines)}) if lines else None


def as_a_traceback(body: Body, known: Collection[str] = OPENAI) -> Refusal:
    """As an error of the server's own."""
    for field in _unknown(body, known):
        return 500, {"error": f"create_completion() got an unexpected keyword argument '{field}'"}
    return None


def as_a_list_of_what_is_known(body: Body, known: Collection[str] = OPENAI) -> Refusal:
    """With all that it does know, too."""
    for field in _unknown(body, known):
        return 400, {"error": f"unknown field; known are {', '.join(sorted(known))}; you sent {field}"}
    return None


def as_sglang(body: Body) -> Refusal:
    """What SGLang refuses of the values that it knows."""
    top_k, penalty = body.get("top_k", -1), body.get("repetition_penalty", 1.0)
    complaint = ""
    if top_k < 1 and top_k != -1:
        complaint = f"top_k must be -1 (disable) or at least 1, got {top_k}."
    elif not 0 < penalty <= 2:
        complaint = f"repetition_penalty must be in (0, 2] (1.0 = no penalty), got {penalty}."
    error = {"object": "error", "message": complaint, "type": "BadRequestError", "param": None, "code": 400}
    return (400, error) if complaint else None


def as_tgi(body: Body) -> Refusal:
    """What Text Generation Inference refuses of the values that it knows."""
    if "top_p" in body and not 0 < body["top_p"] < 1:
        return 422, {"error": "Input validation error: `top_p` must be > 0.0 and < 1.0", "error_type": "validation"}
    return None


BY_NAME = (
    *(as_openai, as_openais_later, as_mistral, as_mistral_of_late, as_fireworks, as_groq, as_nim),
    as_a_traceback,
    as_a_list_of_what_is_known,
)
"""The servers that refuse what they do not know."""
