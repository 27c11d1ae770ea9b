"""What is read of a chat stream: the same text however it is cut, and the turn as the dialect reads it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.chat.reply import Reply
from agent.engine.base import Chunk
from agent.engine.chat_completion.manner import ChatManner
from agent.engine.chat_completion.reply import ChatReply, ForcedReply
from tests.support.texts.chat_events import CHAT, CUTS, PARAMS, Delta, call, cut, event, manner, text_of
from tests.support.tiers.cases import examples


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thinking_that_comes_apart_is_put_in_tags(field: str) -> None:
    text = text_of(
        [{"role": "assistant", "content": None}, {field: "So "}, {field: "it"}, {"content": "is "}, {"content": "7"}]
    )
    assert text == "<think>\nSo it\n</think>\n\nis 7"
    assert CHAT.reply(text, thinking=True) == Reply("So it\n", "\n\nis 7")


def test_both_names_of_the_thinking_in_one_event_are_one_text() -> None:
    assert text_of([{"reasoning": "So", "reasoning_content": "So"}, {"content": "7"}]) == "<think>\nSo\n</think>\n\n7"


def test_tags_that_the_server_leaves_in_the_text_stay_there() -> None:
    assert text_of([{"content": "<think>\nSo"}, {"content": "</think>\n\n7"}]) == "<think>\nSo</think>\n\n7"


def test_thinking_in_parts_of_the_content_is_told_apart() -> None:
    thinking = {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "So"}]}]}
    assert text_of([thinking, {"content": [{"type": "text", "text": "7"}]}]) == "<think>\nSo\n</think>\n\n7"


def test_a_control_token_that_the_thinking_mentions_ends_no_turn() -> None:
    for pieces in (["a <|im_end|> b <"], ["a <", "|im_", "end|> b ", "<"]):
        text = text_of([*({"reasoning": piece} for piece in pieces), {"content": "7"}])
        assert text == "<think>\na < |im_end|> b <\n</think>\n\n7"


def test_thinking_beside_parts_of_the_content_is_not_lost() -> None:
    parts = {"content": [{"type": "text", "text": "7"}], "reasoning_content": "So"}
    assert text_of([{"content": [], "reasoning_content": "And "}, parts]) == "<think>\nAnd So\n</think>\n\n7"


def test_thinking_that_the_prompt_has_opened_is_not_opened_again() -> None:
    deltas: list[Delta] = [{"reasoning": "So"}, {"content": "7"}]
    assert text_of(deltas, reply=ChatReply(PARAMS, manner(), thinks=True)) == "So\n</think>\n\n7"
    answered_at_once = [{"content": "7"}]
    known = ChatReply(PARAMS, manner(thinking="reasoning"), thinks=True)
    assert text_of(answered_at_once, reply=known) == "\n</think>\n\n7"


def test_a_reply_that_was_asked_for_begins_apart_from_what_was_begun() -> None:
    assert text_of([{"content": ""}, {"content": "45"}], reply=ChatReply(PARAMS, manner(), seam="\n\n")) == "\n\n45"


CODES = st.text() | st.sampled_from(["print('</tool_call>')", "a<|b", "if a <t: '<think>'", "<", "\\\\<|"])


@examples(200)
@given(st.text() | st.sampled_from(["a<|im_end|><", "<<|", "<"]), st.text(), CODES, CUTS, CUTS, st.booleans())
def test_any_cutting_of_the_same_reply_gives_the_same_text(
    thought: str, said: str, code: str, cuts: list[int], others: list[int], ascii_only: bool
) -> None:
    arguments = json.dumps({"code": code}, ensure_ascii=ascii_only)

    def deltas(lengths: list[int]) -> list[Delta]:
        thinking = [{"reasoning_content": piece} for piece in cut(thought, lengths)]
        saying = [{"content": piece} for piece in cut(said, lengths)]
        calling = [call(None, piece) for piece in cut(arguments, lengths)]
        return [*thinking, *saying, call("python", "", ident="c1"), {}, *calling]

    texts = {text_of(deltas(lengths), "tool_calls") for lengths in ([], cuts, others, [1] * 60)}
    assert len(texts) == 1


@pytest.mark.parametrize(
    ("said", "begun", "text"),
    [
        ("\\boxed{42}", "", "42}"),
        ("It is $\\boxed{42}$.", "", "42}"),
        ("<think>\n\\boxed{1}\n</think>\n\n\\boxed{42}", "", "42}"),
        ("**42**", "", "42}"),
        ("1,234", "", "1,234}"),
        ("\\boxed{\\frac{1}{2}}", "", "\\frac{1}{2}}"),
        ("\\boxed{42}", "4", "2}"),
        ("\\boxed{17}", "4", ""),
        ("I cannot say.", "", "I cannot say."),
        ("", "", ""),
        ("<think>\nlet me see", "", ""),
    ],
)
def test_a_forced_answer_is_the_rest_of_the_box(said: str, begun: str, text: str) -> None:
    for lengths in ([], [1] * 60):
        reply = ForcedReply(PARAMS, manner(), begun)
        chunks = [reply.read(event({"content": piece})) for piece in cut(said, lengths)]
        chunks.append(reply.read(event({"reasoning": "so"}, "stop")))
        assert "".join(chunk.text for chunk in chunks) == text and chunks[-1].finish == "stop"


def test_tokens_are_estimated_until_the_server_counts_them_and_that_is_said_once() -> None:
    said: list[str] = []
    silent = ChatManner(said.append)
    for _ in range(2):
        reply = ChatReply(PARAMS, silent)
        chunks: list[Chunk | None] = [reply.read(event({"content": piece})) for piece in ("It", " is", " long" * 20)]
        assert [chunk.tokens for chunk in chunks if chunk] == [1, 1, 25]
        chunks.append(reply.read(event({}, "stop")))
        reply.marked = True
        reply.end()
    assert len(said) == 1 and "no usage" in said[0]


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["content", "reasoning", "tool_calls", "function_call"]),
            st.none()
            | st.text(max_size=3)
            | st.lists(
                st.none()
                | st.dictionaries(
                    st.sampled_from(["index", "id", "function", "text"]),
                    st.none() | st.integers(0, 2) | st.text(max_size=2),
                )
            ),
        ),
        max_size=6,
    )
)
def test_whatever_stands_in_a_delta_is_read_or_refused_as_garbled(deltas: list[Delta]) -> None:
    reply = ChatReply(PARAMS, manner())
    for delta in deltas:
        reply.read(event(delta))
    reply.read(event(None, "stop"))
