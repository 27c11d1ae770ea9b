"""What vLLM refuses, in its words, for the servers that stand in for it; and how many tokens a text is, as for Qwen."""

from __future__ import annotations

import json
import re
from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

# The common ones of 0.32.
_KV_CACHE_DTYPES = ("auto", "float16", "bfloat16", "fp8", "fp8_e4m3", "fp8_e5m2")
_NUMBERS = (
    *("--max-num-seqs", "--tensor-parallel-size", "--data-parallel-size", "--max-num-batched-tokens"),
    *("--gpu-memory-utilization", "--seed"),
)
_TEXTS = (
    *("--model", "--host", "--generation-config", "--uvicorn-log-level", "--reasoning-parser", "--compilation-config"),
    "--distributed-executor-backend",
)
_SWITCHES = ("--enable-prefix-caching", "--enable-prompt-tokens-details", "--enforce-eager")
_TOKEN = re.compile(r"[0-9, ]|[^0-9, ]{1,4}", re.DOTALL)


def add_flags(parser: ArgumentParser) -> None:
    """Add the flags that servers of ours and of the tests are started with; vLLM ends with status 2 for an unknown one,
    and for a value that it checks as it starts.
    """
    parser.add_argument("--kv-cache-dtype", choices=_KV_CACHE_DTYPES, default="auto")
    parser.add_argument("--load-format", choices=("auto", "safetensors", "dummy"), default="auto")
    parser.add_argument("--dtype", choices=("auto", "half", "float16", "bfloat16", "float", "float32"), default="auto")
    parser.add_argument("--quantization", choices=("awq", "awq_marlin", "gptq", "fp8", "compressed-tensors"))
    parser.add_argument("--speculative-config", type=json.loads)
    parser.add_argument("--cudagraph-capture-sizes", type=int, nargs="+")
    for flag in _NUMBERS:
        parser.add_argument(flag, type=float if flag == "--gpu-memory-utilization" else int)
    for flag in _TEXTS:
        parser.add_argument(flag)
    for flag in _SWITCHES:
        parser.add_argument(flag, action="store_true")


def check_speculation(speculation: Mapping[str, Any]) -> None:
    """Raise vLLM's error for a speculation whose package is missing."""
    if speculation.get("method") == "suffix":
        raise ImportError(
            "Arctic Inference is required for suffix decoding. Install via `pip install arctic-inference==0.1.1`."
        )


def pieces_of(text: str) -> list[str]:
    """The text cut into tokens: each digit, comma and space is one, of other text four characters are."""
    return _TOKEN.findall(text)


def refusal(body: Mapping[str, Any], *, model: str | None, max_model_len: int) -> tuple[int, dict[str, Any]] | None:
    """Status and body of what vLLM answers to a completion that it does not accept; None where it does."""
    if body.get("model") not in (None, model):
        return _error(404, "NotFoundError", f"The model `{body['model']}` does not exist.")
    complaint = _bad_number(body) or _bad_prompt(body.get("prompt")) or _too_long(body, max_model_len)
    return _error(400, "BadRequestError", complaint) if complaint else None


def unauthorized(headers: Mapping[str, str], key: str | None) -> bool:
    """Whether the request lacks the key that the server wants."""
    return key is not None and headers.get("Authorization") != f"Bearer {key}"


def _bad_number(body: Mapping[str, Any]) -> str | None:
    most, temperature, top_k = body.get("max_tokens", 16), body.get("temperature", 1.0), body.get("top_k", 0)
    top_p, min_p = body.get("top_p", 1.0), body.get("min_p", 0.0)
    checks = (
        (most < 1, f"max_tokens must be at least 1, got {most}."),
        (temperature < 0, f"temperature must be non-negative, got {temperature}."),
        (temperature > 2, f"temperature must be in [0, 2], got {temperature}."),
        (not 0 < top_p <= 1, f"top_p must be in (0, 1], got {top_p}."),
        (top_k < -1, f"top_k must be 0 (disable), or at least 1, got {top_k}."),
        (not 0 <= min_p <= 1, f"min_p must be in [0, 1], got {min_p}."),
        (body.get("repetition_penalty", 1.0) <= 0, "repetition_penalty must be greater than zero."),
        ("" in (body.get("stop") or ()), "stop cannot contain an empty string."),
        (any(token < 0 for token in body.get("stop_token_ids") or ()), "stop_token_ids must be non-negative."),
    )
    return next((complaint for wrong, complaint in checks if wrong), None)


def _bad_prompt(prompt: object) -> str | None:
    if prompt == "" or prompt == []:
        return "The decoder prompt cannot be empty"
    whole = isinstance(prompt, list) and all(type(token) is int and token >= 0 for token in prompt)
    return None if isinstance(prompt, str) or whole else "prompt: Input should be a valid string or list of integers"


def _too_long(body: Mapping[str, Any], max_model_len: int) -> str | None:
    prompt = body["prompt"]
    length = len(pieces_of(prompt)) if isinstance(prompt, str) else len(prompt)
    most = body.get("max_tokens", 16)
    if most > max_model_len:
        return (
            f"max_tokens={most} cannot be greater than max_model_len={max_model_len}. "
            "Please request fewer output tokens."
        )
    if length > max_model_len:
        return (
            f"This model's maximum context length is {max_model_len} tokens. However, your prompt contains {length} "
            "input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the "
            "input prompt."
        )
    if length + most > max_model_len:
        return (
            f"This model's maximum context length is {max_model_len} tokens. However, you requested {length + most} "
            f"tokens ({length} in the messages, {most} in the completion). Please reduce the length of the messages or "
            "completion."
        )
    return None


def _error(status: int, kind: str, message: str) -> tuple[int, dict[str, Any]]:
    return status, {"error": {"message": message, "type": kind, "param": None, "code": status}}
