"""The fields of a completion request: one meaning, spelled as each kind of server reads it.

No sampling default of a server's may replace what is sent, so each of them is sent, also where it changes nothing: vLLM
and SGLang take them from the model's generation_config.json, llama.cpp from its flags and the GGUF file. Control tokens
have to stay in the text, as the dialects read them there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from agent.engine.base import Prompt, SamplingParams

_OFF = -1  # for top_k: 0 is refused by SGLang and by vLLM before 0.8
# The versions of vLLM that introduced these request fields.
_REPETITION_DETECTION = (0, 17)
_THINKING_BUDGET = (0, 20)
# A tail of 512 or more tokens that is one cycle; twelve dozen zeros in a matrix are not. Any period up to 32 has a
# multiple among these sizes; the server checks each of them for every token, so they are few.
_LOOP = {"min_pattern_size": 128, "max_pattern_size": 160, "min_count": 4}


class ServerKind(StrEnum):
    """The servers whose requests differ."""

    VLLM = "vLLM"
    SGLANG = "SGLang"
    LLAMA_CPP = "llama.cpp"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Server:
    """What a request depends on: the kind of server, and of vLLM its version."""

    kind: ServerKind = ServerKind.OTHER
    version: tuple[int, ...] = ()

    @property
    def takes_stop_ids(self) -> bool:
        """Whether it stops at token ids too."""
        return self.kind in (ServerKind.VLLM, ServerKind.SGLANG)


def server_of(version: tuple[int, ...], listed: Sequence[Mapping[str, Any]], *, llama: bool) -> Server:
    """The server that reports this version of vLLM (() for none) and lists these models.

    `llama` is whether it describes its slots as llama.cpp's does.
    """
    if version:
        return Server(ServerKind.VLLM, version)
    if llama:
        return Server(ServerKind.LLAMA_CPP)
    if any(model.get("owned_by") == "sglang" for model in listed):
        return Server(ServerKind.SGLANG)
    return Server()


def completion_body(
    server: Server,
    prompt: Prompt,
    params: SamplingParams,
    *,
    model: str | None = None,
    stop_ids: Sequence[int] = (),
    thinking_budget: bool = False,
) -> dict[str, Any]:
    """The body of a request that streams a completion.

    `stop_ids` are those of the stop strings that are one token; `thinking_budget` says that the server takes one.
    """
    body: dict[str, Any] = {
        "prompt": prompt if isinstance(prompt, str) else list(prompt),
        "max_tokens": params.max_tokens,
        **sampling_fields(server, params),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    optional: dict[str, Any] = {
        "model": model,
        "seed": params.seed,
        "stop": list(params.stop) or None,
        "stop_token_ids": list(stop_ids) or None,
    }
    optional |= _OWN_FIELDS[server.kind](server, params)
    if server.kind is ServerKind.VLLM and thinking_budget and server.version >= _THINKING_BUDGET:
        optional["thinking_token_budget"] = params.thinking_tokens
    return body | {key: value for key, value in optional.items() if value is not None}


def sampling_fields(server: Server, params: SamplingParams) -> dict[str, Any]:
    """How tokens are drawn: all that a server might else set by itself, but for the seed."""
    cut = params.top_k or (_OFF if server.takes_stop_ids else 0)
    fields = {
        "temperature": params.temperature,
        "top_p": params.top_p,
        "top_k": cut,
        "min_p": params.min_p,
        "presence_penalty": params.presence_penalty,
        "frequency_penalty": 0.0,
    }
    if server.kind is not ServerKind.LLAMA_CPP:
        fields["repetition_penalty"] = 1.0
    if not server.takes_stop_ids:
        fields["repeat_penalty"] = 1.0
    return fields


def _of_vllm(server: Server, params: SamplingParams) -> dict[str, Any]:
    return {
        **_with_control_tokens(),
        "return_token_ids": True,
        "logprobs": 0,
        "add_special_tokens": False,  # a prompt begins with the token that its family's template has
        # Otherwise characters that may begin a stop string are held back, and a text is not that of its tokens.
        "include_stop_str_in_output": True if params.stop else None,
        "repetition_detection": _LOOP if server.version >= _REPETITION_DETECTION else None,
    }


def _of_sglang(server: Server, params: SamplingParams) -> dict[str, Any]:
    # Otherwise a control token that ends the reply is cut off, and a call looks like the end of the turn.
    return {**_with_control_tokens(), "no_stop_trim": True}


def _of_llama(server: Server, params: SamplingParams) -> dict[str, Any]:
    return {"preserved_tokens": list(params.control_tokens) or None}


def _of_others(server: Server, params: SamplingParams) -> dict[str, Any]:
    return _with_control_tokens()


def _with_control_tokens() -> dict[str, Any]:
    return {"skip_special_tokens": False, "spaces_between_special_tokens": False}


_OWN_FIELDS = {
    ServerKind.VLLM: _of_vllm,
    ServerKind.SGLANG: _of_sglang,
    ServerKind.LLAMA_CPP: _of_llama,
    ServerKind.OTHER: _of_others,
}
