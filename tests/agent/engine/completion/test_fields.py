"""What each kind of server is sent for the same request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.base import SamplingParams
from agent.engine.completion.fields import Server, ServerKind, completion_body, server_of
from tests.support.servers.field_rules import as_sglang

VLLM, SGLANG = Server(ServerKind.VLLM, (0, 32)), Server(ServerKind.SGLANG)
LLAMA, OTHER = Server(ServerKind.LLAMA_CPP), Server()
ALL = (VLLM, SGLANG, LLAMA, OTHER)
PARAMS = SamplingParams(9, top_k=0, stop=("<|im_end|>",), control_tokens=("<|im_end|>", "</think>"))
KIND = [server.kind.value for server in ALL]


@pytest.mark.parametrize("server", ALL, ids=KIND)
def test_no_server_samples_by_a_default_of_its_own(server: Server) -> None:
    body = completion_body(server, "go on", PARAMS)
    assert (body["temperature"], body["top_p"], body["min_p"]) == (1.0, 1.0, 0.0)
    assert (body["presence_penalty"], body["frequency_penalty"]) == (0.0, 0.0)
    assert body["top_k"] == (-1 if server in (VLLM, SGLANG) else 0)
    penalties = [body.get(name) for name in ("repetition_penalty", "repeat_penalty")]
    assert 1.0 in penalties and set(penalties) <= {1.0, None}
    assert (penalties[1] is None) == (server in (VLLM, SGLANG))


@pytest.mark.parametrize("server", ALL, ids=KIND)
def test_control_tokens_stay_in_the_text(server: Server) -> None:
    body = completion_body(server, "go on", PARAMS)
    if server is LLAMA:
        assert body["preserved_tokens"] == ["<|im_end|>", "</think>"] and "skip_special_tokens" not in body
    else:
        assert body["skip_special_tokens"] is False and body["spaces_between_special_tokens"] is False
    assert body.get("no_stop_trim") == (True if server is SGLANG else None)
    assert body.get("include_stop_str_in_output") == (True if server is VLLM else None)
    assert "include_stop_str_in_output" not in completion_body(server, "go on", SamplingParams(9))
    assert "preserved_tokens" not in completion_body(server, "go on", SamplingParams(9))


def test_a_server_is_told_the_ids_at_which_to_stop_beside_the_strings() -> None:
    for server in ALL:
        assert "stop_token_ids" not in completion_body(server, "go on", PARAMS)
    body = completion_body(VLLM, [1, 2], PARAMS, model="m", stop_ids=[7])
    assert (body["stop"], body["stop_token_ids"], body["prompt"], body["model"]) == (["<|im_end|>"], [7], [1, 2], "m")


@given(
    st.builds(
        SamplingParams,
        max_tokens=st.integers(1, 9),
        top_k=st.integers(0, 99),
        min_p=st.floats(0, 1),
        top_p=st.floats(0.01, 1),
    )
)
def test_sglang_refuses_nothing_that_it_is_sent(params: SamplingParams) -> None:
    body = completion_body(SGLANG, "go on", params)
    assert as_sglang(body) is None
    assert params.top_k in (0, body["top_k"])


def test_only_vllm_is_asked_for_what_its_version_has() -> None:
    params = SamplingParams(9, thinking_tokens=5)
    old, new = (Server(ServerKind.VLLM, version) for version in ((0, 11), (0, 20)))
    assert "repetition_detection" not in completion_body(old, "x", params, thinking_budget=True)
    assert "thinking_token_budget" not in completion_body(old, "x", params, thinking_budget=True)
    assert completion_body(new, "x", params, thinking_budget=True)["thinking_token_budget"] == 5
    assert "thinking_token_budget" not in completion_body(new, "x", params)
    for server in (SGLANG, LLAMA, OTHER):
        body = completion_body(server, "x", params, thinking_budget=True)
        assert body.keys().isdisjoint({"return_token_ids", "logprobs", "repetition_detection", "thinking_token_budget"})


def test_a_server_is_known_by_what_it_tells_of_itself() -> None:
    listed = [{"id": "m", "owned_by": "sglang"}]
    assert server_of((0, 9), listed, llama=True) == Server(ServerKind.VLLM, (0, 9))
    assert server_of((), listed, llama=True) == LLAMA
    assert server_of((), listed, llama=False) == SGLANG
    assert server_of((), [{"id": "m"}], llama=False) == OTHER
