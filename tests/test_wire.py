from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.wire import chunk


def event(**choice: object) -> dict[str, Any]:
    return {"choices": [choice]}


def test_a_piece_with_ids_counts_its_tokens() -> None:
    read = chunk(
        event(
            text="a b",
            token_ids=[5, 6],
            prompt_token_ids=[1, 2, 3],
            logprobs={"tokens": ["a", " b"], "token_logprobs": [-0.1, -2.0]},
        ),
        0,
    )
    assert (read.tokens, read.token_ids, read.prompt_ids, read.logprobs) == (2, (5, 6), (1, 2, 3), (-0.1, -2.0))
    assert read.aligned


BROKEN_CHARACTER = {"tokens": ["\ufffd"], "token_logprobs": [-1.0]}
WITH_END = {"tokens": ["a", ""], "token_logprobs": [0, 0]}


@pytest.mark.parametrize(
    "choice",
    [
        {"text": "", "token_ids": [5], "logprobs": BROKEN_CHARACTER},
        {"text": "π", "token_ids": [5], "logprobs": BROKEN_CHARACTER},
        {"text": "a", "token_ids": [5, 2], "finish_reason": "stop", "logprobs": WITH_END},
        {"text": "a", "token_ids": [5]},
        {"text": "a"},
    ],
)  # fmt: skip
def test_what_its_tokens_do_not_spell_for_certain_is_not_aligned(choice: dict[str, Any]) -> None:
    assert not chunk({"choices": [choice]}, 0).aligned


def test_the_last_event_corrects_the_count_and_tells_the_cache() -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 64}}
    read = chunk({"choices": [], "usage": usage}, 7)
    assert (read.tokens, read.prompt_tokens, read.cached_tokens) == (2, 100, 64)
    bare = chunk({"choices": [], "usage": {"completion_tokens": 7, "prompt_tokens_details": None}}, 7)
    assert (bare.tokens, bare.prompt_tokens, bare.cached_tokens) == (0, None, None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("text", "token_ids", "prompt_token_ids", "logprobs", "finish_reason")


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "choices": st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, JSON)), max_size=2) | JSON,
            "usage": JSON,
        },
    )
)
def test_any_event_is_a_chunk_or_a_value_error(strange: dict[str, Any]) -> None:
    try:
        read = chunk(strange, 0)
    except ValueError:
        return
    assert isinstance(read.text, str) and isinstance(read.tokens, int)
    assert all(isinstance(token, int) for token in (*read.token_ids, *read.prompt_ids))
