"""Pieces of a completion as servers of several makes send them."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.base import Chunk
from agent.engine.wire import ReplyReader


def event(**choice: object) -> dict[str, Any]:
    return {"choices": [choice]}


def chunk(event: dict[str, Any]) -> Chunk:
    return ReplyReader().read(event)


def texts(*events: dict[str, Any]) -> str:
    reader = ReplyReader()
    return "".join(reader.read(event).text for event in events)


def finished(*reasons: object, done: bool = True) -> str | None:
    """How a reply of some text with these reasons ends, "broken" if it does not."""
    reader = ReplyReader()
    for reason in reasons:
        reader.read(event(text="a", finish_reason=reason))
    reader.marked = done
    try:
        reader.end()
    except ValueError:
        return "broken"
    return reader.finish


def test_a_piece_with_ids_counts_its_tokens() -> None:
    logprobs = {"tokens": ["a", " b"], "token_logprobs": [-0.1, -2.0]}
    read = chunk(event(text="a b", token_ids=[5, 6], prompt_token_ids=[1, 2, 3], logprobs=logprobs))
    assert (read.tokens, read.token_ids, read.prompt_ids, read.logprobs) == (2, (5, 6), (1, 2, 3), (-0.1, -2.0))
    assert read.aligned


BROKEN_CHARACTER = {"tokens": ["\ufffd"], "token_logprobs": [-1.0]}
WITH_END = {"tokens": ["a", ""], "token_logprobs": [0, 0]}
ONE = {"tokens": ["a"], "token_logprobs": [0]}


@pytest.mark.parametrize(
    "choice",
    [
        {"text": "", "token_ids": [5], "logprobs": BROKEN_CHARACTER},
        {"text": "π", "token_ids": [5], "logprobs": BROKEN_CHARACTER},
        {"text": "a", "token_ids": [5, 2], "finish_reason": "stop", "logprobs": WITH_END},
        {"text": "a", "token_ids": [5, 2], "logprobs": ONE},
        {"text": "a", "token_ids": [5, None], "logprobs": {"tokens": ["a", "b"], "token_logprobs": [0, 0]}},
        {"text": "a", "token_ids": [True], "logprobs": ONE},
        {"text": "a", "token_ids": ["5"], "logprobs": ONE},
        {"text": "a", "token_ids": [-5], "logprobs": ONE},
        {"text": "a", "token_ids": [10**400], "logprobs": ONE},
        {"text": "a", "token_ids": [5]},
        {"text": "a"},
    ],
)  # fmt: skip
def test_what_its_tokens_do_not_spell_for_certain_is_not_aligned(choice: dict[str, Any]) -> None:
    read = chunk({"choices": [choice]})
    assert (read.text, read.aligned) == (choice["text"], False)


def test_after_a_text_without_ids_later_ids_do_not_join_those_before_it() -> None:
    reader = ReplyReader()
    whole = event(text="a", token_ids=[5], logprobs=ONE)
    read = [reader.read(piece) for piece in (whole, event(text="b", token_ids=[None]), whole)]
    assert [piece.aligned for piece in read] == [True, False, False]
    assert [piece.token_ids for piece in read] == [(5,), (), ()]


@pytest.mark.parametrize("values", [[None], ["x"], [math.nan], [-math.inf], [True], [3.0], [], [-1, -2], None, 5, "ab"])
def test_log_probabilities_that_are_none_are_unknown_and_the_text_is_kept(values: object) -> None:
    read = chunk(event(text="a", logprobs={"tokens": ["a"], "token_logprobs": values}))
    assert (read.text, read.logprobs) == ("a", ())


@pytest.mark.parametrize("logprobs", [None, [], "x", 5, {"tokens": None}, {"tokens": [None]}, {"content": [{}]}])
def test_log_probabilities_of_another_shape_do_not_matter(logprobs: object) -> None:
    assert chunk(event(text="a", logprobs=logprobs)).text == "a"


def test_the_last_event_corrects_the_count_and_tells_the_cache() -> None:
    reader = ReplyReader()
    for _ in range(7):
        reader.read(event(text="a"))
    usage = {"prompt_tokens": 100, "completion_tokens": 9, "prompt_tokens_details": {"cached_tokens": 64}}
    read = reader.read({"choices": [], "usage": usage})
    assert (read.tokens, read.prompt_tokens, read.cached_tokens) == (2, 100, 64)
    bare = reader.read({"choices": None, "usage": {"completion_tokens": 9.0, "prompt_tokens_details": None}})
    assert (bare.tokens, bare.prompt_tokens, bare.cached_tokens) == (0, None, None)


def test_what_was_generated_beyond_what_was_asked_for_is_counted_as_the_server_reports_it() -> None:
    reader = ReplyReader()
    counts = [reader.read(event(text="a")).tokens, reader.read({"usage": {"completion_tokens": 5_000}}).tokens]
    assert counts == [1, 4_999]


STRANGE_COUNTS: list[object] = [None, -1, 2.5, math.nan, math.inf, "9", True, 10**9, 1e300, [9], {}, 0]


@pytest.mark.parametrize("count", STRANGE_COUNTS)
def test_a_count_that_cannot_be_is_unknown(count: object) -> None:
    reader = ReplyReader()
    reader.read(event(text="a"))
    usage = {"completion_tokens": count, "prompt_tokens": count, "prompt_tokens_details": {"cached_tokens": count}}
    read = reader.read({"usage": usage})
    assert read.tokens == 0
    assert all(value is None or value >= 0 for value in (read.prompt_tokens, read.cached_tokens))


@pytest.mark.parametrize("usage", [None, [], "x", 5, True])
def test_a_usage_of_another_shape_does_not_matter(usage: object) -> None:
    assert chunk({"choices": [{"text": "a"}], "usage": usage}).tokens == 1


def test_tokens_are_counted_once_where_each_event_has_the_sum() -> None:
    reader = ReplyReader()
    counts = [reader.read({"choices": [{"text": "a b"}], "usage": {"completion_tokens": n}}).tokens for n in (2, 4, 5)]
    assert counts == [2, 2, 1]


def test_chunks_of_the_chat_protocol_are_read_and_thinking_that_came_apart_is_closed() -> None:
    thinking: list[dict[str, Any]] = [
        {"delta": {"role": "assistant", "content": ""}},
        {"delta": {"reasoning_content": "Let"}},
    ]
    thinking += [{"delta": {"reasoning": " me.", "content": None}}]
    said = [{"delta": {"content": "It is"}}, {"delta": {"content": " 42"}}, {"delta": {}, "finish_reason": "stop"}]
    for head in ("\n</think>\n\n", "<|end|><|start|>assistant<|channel|>final<|message|>"):
        reader = ReplyReader(head)
        read = [reader.read({"choices": [choice]}).text for choice in thinking + said]
        assert "".join(read) == reader.text == f"Let me.{head}It is 42"
    assert texts({"choices": [{"message": {"reasoning": "Hm.", "content": "42"}}]}) == "Hm.\n\n42"
    assert texts({"choices": [{"message": {"content": [{"type": "text", "text": "4"}, {"text": "2"}, 5]}}]}) == "42"


def test_of_several_choices_the_first_is_read() -> None:
    assert (
        texts({"choices": [{"index": 1, "text": "b"}, {"index": 0, "text": "a"}]}, {"choices": [{"index": 1}]}) == "a"
    )


@pytest.mark.parametrize("choices", [None, [], {}, "", 0, [None], [5], [[]]])
def test_an_event_without_a_choice_adds_nothing(choices: object) -> None:
    assert chunk({"choices": choices}) == Chunk("", 0)


@pytest.mark.parametrize(
    "choices", [{"text": "a"}, "a", 5, [{"text": 5}], [{"text": {"a": 1}}], [{"delta": {"content": 7}}]]
)
def test_a_text_that_cannot_be_read_breaks_the_stream(choices: object) -> None:
    with pytest.raises(ValueError, match="of type"):
        chunk({"choices": choices})


def test_halves_of_characters_are_joined_and_lone_ones_replaced() -> None:
    assert texts(event(text="a\ud83d"), event(text="\ude00b")) == "a😀b"
    assert texts(event(text="a\ud83d"), event(text="b\ude00"), event(text="\ud83d")) == "a\ufffdb\ufffd"


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("stop", "stop"),
        ("STOP", "stop"),
        ("eos", "stop"),
        ("eos_token", "stop"),
        ("stop_sequence", "stop"),
        ("end_turn", "stop"),
        ("length", "length"),
        ("max_tokens", "length"),
        ("content_filter", "stop"),
        ("repetition", "repetition"),
        ({"type": "stop", "matched": 151645}, "stop"),
        ({"type": "length", "length": 100}, "length"),
        *((word, "stop") for word in (
            "end_of_text", "endoftext", "eog", "end_of_sequence", "finish_reason_stop", "stopped", "matched_stop",
            "turn_complete", "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "FINISH_REASON_STOP", "FinishReason.STOP",
            "end-of-text", "End of sequence", " stop ", "EOS", ["stop"], [{"type": "stop"}],
        )),
        ("FINISH_REASON_MAX_TOKENS", "length"),
        (["length"], "length"),
        (["abort"], "broken"),
        (["stop", "abort"], "broken"),
        ([["stop"]], "broken"),
        ("not stopped", "broken"),
        ("stop" * 50, "broken"),
        ("<||>", "broken"),
        ("finish_reason", "broken"),
        ("FINISH_REASON_SAFETY", "stop"),
        (None, "stop"),
        ("null", "stop"),
        ("", "broken"),
        ("abort", "broken"),
        ("error", "broken"),
        ("cancelled", "broken"),
        ("a word of tomorrow", "broken"),
        ({"type": "abort"}, "broken"),
        ({}, "stop"),
        (5, "broken"),
        ([], "broken"),
        (True, "broken"),
    ],
)  # fmt: skip
def test_which_reasons_are_an_end(reason: object, finish: str) -> None:
    assert finished(None, reason) == finish


def test_without_a_reason_only_the_mark_of_the_end_is_one() -> None:
    assert finished(None, None, done=False) == "broken"
    assert finished("", "", done=False) == finished("", "", done=True) == "broken"
    assert finished("", "stop", "", done=False) == "stop"
    assert finished("stop", "abort", done=False) == "stop", "what was told once stays"


@pytest.mark.parametrize("reason", ["stop", "length", "repetition", {"type": "stop"}])
@pytest.mark.parametrize(
    "later",
    [
        {"text": "Question: 1 + 1?", "token_ids": [7], "logprobs": {"tokens": ["a"], "token_logprobs": [-1.0]}},
        {"text": " 43", "finish_reason": "length"},
        {"delta": {"content": "User:"}},
        {"delta": {"reasoning_content": "Next"}},
        {"text": {"not": "a text"}},
        {"text": "\ude00"},
    ],
)
def test_behind_the_reason_for_the_end_only_counts_are_read(reason: object, later: dict[str, Any]) -> None:
    reader = ReplyReader()
    assert reader.read(event(text="It is 42.", token_ids=[5, 6], finish_reason=reason)).text == "It is 42."
    finish = reader.finish
    usage = {"completion_tokens": 3, "prompt_tokens": 9}
    read = [reader.read(event(**later)), reader.read({"choices": [later], "usage": usage})]
    assert read == [Chunk("", 0), Chunk("", 1, prompt_tokens=9)]
    assert (reader.text, reader.finish, reader.end()) == ("It is 42.", finish, None)


def test_an_end_without_text_or_reason_is_not_an_end() -> None:
    reader = ReplyReader()
    reader.marked = True
    with pytest.raises(ValueError, match="early"):
        reader.end()
    reader = ReplyReader()
    reader.read(event(text="", finish_reason="stop"))
    assert reader.end() is None and reader.finish == "stop"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ("index", "text", "delta", "message", "token_ids", "prompt_token_ids", "logprobs", "finish_reason")


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
        read = chunk(strange)
    except ValueError:
        return
    assert isinstance(read.text, str) and isinstance(read.tokens, int)
    read.text.encode()
    assert all(type(token) is int for token in (*read.token_ids, *read.prompt_ids))
    assert all(value <= 0 for value in read.logprobs)
