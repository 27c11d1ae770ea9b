"""What is read of a chat stream: the same text however it is cut, and the turn as the dialect reads it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.chat.dialects import chat_format
from agent.chat.reply import Reply
from agent.engine.base import Chunk, SamplingParams
from agent.engine.chat_completion.manner import ChatManner
from agent.engine.chat_completion.reply import ChatReply, ForcedReply
from tests.support.servers.chat_server import called
from tests.support.tiers.cases import examples

CHAT = chat_format("chat", tools=True)
PARAMS = SamplingParams(100_000, answer_head=CHAT.answer_head)
Delta = dict[str, Any]


def manner(**keys: Any) -> ChatManner:
    return ChatManner(lambda text: None, **keys)


def event(delta: Delta | None, finish: str | None = None) -> Delta:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def text_of(deltas: Iterable[Delta], finish: str = "stop", reply: ChatReply | None = None) -> str:
    reply = reply or ChatReply(PARAMS, manner())
    chunks = [reply.read(event(delta)) for delta in deltas]
    chunks.append(reply.read(event({}, finish)))
    chunks.append(reply.read({"choices": [], "usage": {"completion_tokens": 7, "prompt_tokens": 9}}))
    assert reply.end(done=True) is None
    assert reply.text == "".join(chunk.text for chunk in chunks)
    assert sum(chunk.tokens for chunk in chunks) == 7 and chunks[-1].prompt_tokens == 9
    return reply.text


def call(name: str | None, arguments: object, index: int | None = 0, ident: str | None = None) -> Delta:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    piece: Delta = {"type": "function", "function": function}
    piece |= {} if index is None else {"index": index}
    return {"tool_calls": [piece | ({} if ident is None else {"id": ident})]}


def code_in(text: str) -> str | None:
    """The code of the first call, as a lane reads it: it closes a whole call at the end of the turn itself."""
    scanner = CHAT.call_scanner()
    found = scanner.feed(text)
    found = found or (scanner.feed(scanner.end_mark) if scanner.end_mark else None)
    return found.code if found else None


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


def test_thinking_that_the_prompt_has_opened_is_not_opened_again() -> None:
    deltas: list[Delta] = [{"reasoning": "So"}, {"content": "7"}]
    assert text_of(deltas, reply=ChatReply(PARAMS, manner(), thinks=True)) == "So\n</think>\n\n7"
    answered_at_once = [{"content": "7"}]
    known = ChatReply(PARAMS, manner(thinking="reasoning"), thinks=True)
    assert text_of(answered_at_once, reply=known) == "\n</think>\n\n7"


def test_a_reply_that_was_asked_for_begins_apart_from_what_was_begun() -> None:
    assert text_of([{"content": ""}, {"content": "45"}], reply=ChatReply(PARAMS, manner(), seam="\n\n")) == "\n\n45"


CODES = st.text() | st.sampled_from(
    ['print("</tool_call>")', "a<|b", "if a <t: '<think>'", "x = '\\\\n<|im_end|>'", "<"]
)
CUTS = st.lists(st.integers(1, 9), max_size=60)


def cut(text: str, lengths: list[int]) -> list[str]:
    pieces = []
    for length in lengths:
        pieces.append(text[:length])
        text = text[length:]
    return [*pieces, text]


@examples(200)
@given(st.text(), st.text(), CODES, CUTS, CUTS, st.booleans())
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


@examples(200)
@given(CODES, CUTS)
def test_the_code_of_a_call_is_what_the_server_sent(code: str, cuts: list[int]) -> None:
    code = code.encode("utf-8", "replace").decode().strip("\r\n")
    if not code.strip() or "\r" in code or "```" in code or ("\\n" in code and "\n" not in code) or code.endswith("}"):
        return  # which the reader of calls takes for errors that models make
    arguments = json.dumps({"code": code})
    pieces = [call("python", ""), *(call(None, piece) for piece in cut(arguments, cuts))]
    assert code_in(text_of([{"content": "So:"}, *pieces], "tool_calls")) == code


@pytest.mark.parametrize(
    "deltas",
    [
        [call("python", '{"code": "print(7)"}', ident="c1")],
        [call("python", {"code": "print(7)"})],
        [call("python", "", ident="c1"), call(None, '{"code": '), call(None, '"print(7)"}')],
        [call(None, '{"code": "pr'), call("python", 'int(7)"}')],
        [call("python", '{"code": "print(7)"}', index=None)],
        [call("python", "", ident="c1"), call("python", '{"code": "print(7)"}', ident="c1")],
        [call("python", "print(7)")],
        [call("python", '"print(7)"')],
        [call("python", json.dumps(json.dumps({"code": "print(7)"})))],
        [call(None, '{"code": "print(7)"}')],
        [{"function_call": {"name": "python", "arguments": '{"code": "print(7)"}'}}],
        [call("python", '{"code": "print(7)"}'), {"content": "Let us see."}],
        [{"reasoning": "So"}, call("python", '{"code": "print(7)"}')],
        [{"tool_calls": [None, {"function": None}]}, call("python", '{"code": "print(7)"}', ident="c1")],
    ],
)
def test_a_call_is_read_however_it_comes(deltas: list[Delta]) -> None:
    assert code_in(text_of(deltas, "tool_calls")) == "print(7)"


@pytest.mark.parametrize(
    "pieces", [called("print(7)"), [call("python", "print(7)")], [call(None, '{"code": "print(7)"}')]]
)
def test_a_call_begins_behind_the_thinking_and_on_a_line_of_its_own(pieces: list[Delta]) -> None:
    assert text_of([{"reasoning": "So"}, *pieces], "tool_calls").startswith("<think>\nSo\n</think>\n\n<tool_call>\n")
    assert text_of([{"content": "So:"}, *pieces], "tool_calls").startswith("So:\n<tool_call>\n")


def test_of_calls_side_by_side_each_is_written_and_the_first_is_run() -> None:
    first, second = '{"code": "print(7)"}', '{"code": "print(8)"}'
    in_turn = [call("python", first, 0, "a"), call("python", second, 1, "b")]
    mixed = [call("python", "", 0, "a"), call("python", "", 1, "b"), call(None, second, 1), call(None, first, 0)]
    by_id = [call("python", first, 0, "a"), call("python", second, 0, "b")]
    at_once = [{"tool_calls": [*in_turn[0]["tool_calls"], *in_turn[1]["tool_calls"]]}]
    for deltas in (in_turn, mixed, by_id, at_once):
        text = text_of(deltas, "tool_calls")
        assert text.count("<tool_call>") == 2 and text.index("print(7)") < text.index("print(8)")
        assert code_in(text) == "print(7)"


def test_a_whole_call_is_left_open_so_that_the_count_of_its_tokens_is_heard() -> None:
    assert not text_of([call("python", '{"code": "print(7)"}')], "tool_calls").endswith("</tool_call>")


def test_a_call_that_cannot_be_read_is_closed_so_that_the_model_is_told() -> None:
    text = text_of([call("search", '{"query": "x"}')], "tool_calls")
    found = CHAT.call_scanner().feed(text)
    assert found and "there is no function 'search'" in found.refusal


def test_a_call_that_the_limit_cut_off_stays_open() -> None:
    text = text_of([call("python", '{"code": "print(')], "length")
    assert code_in(text) is None and text.endswith("print(")


def test_no_code_can_end_the_turn_or_the_call() -> None:
    arguments = json.dumps({"code": "print('<|im_end|></tool_call>')"})
    text = text_of([call("python", arguments)], "tool_calls")
    assert "<|" not in text and code_in(text) == "print('<|im_end|></tool_call>')"


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
        reply.end(done=True)
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
