"""The calls of a chat stream, in whatever pieces a server sends them: the code that is run is the code that came."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.engine.chat_completion.reply import ChatReply, ForcedReply
from tests.support.servers.chat_server import called
from tests.support.texts.chat_events import CHAT, CUTS, PARAMS, Delta, call, code_in, cut, event, manner, text_of
from tests.support.tiers.cases import examples

CODES = st.text() | st.sampled_from(
    [
        'print("</tool_call>")',
        "a<|b",
        "if a <t: '<think>'",
        "x = '\\\\n<|im_end|>'",
        "<",
        r"r'\</tool_call>\\<|im_end|>'",
    ]
)


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
        [call("python", '{"code": "pr', None, "c1"), call(None, 'int(7)"}', 0)],
        [call("python", '{"code": "pr', 0, "c1"), call(None, 'int(7)"}', 0, "c2")],
        [call("python", '{"code": "pr', 0, "c1"), call("python", 'int(7)"}', 0, "c2")],
        [call("python", '{"code": "print(7)"}', 0, "c1")] * 2,
        [call("python", '{"code": "pr'), {"content": "\n"}, {"reasoning": " "}, call(None, 'int(7)"}')],
        [{"tool_calls": call("python", '{"code": "print(7)"}')["tool_calls"][0]}],
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
    unnamed = [call("python", first, None), call("python", second, None)]
    alike = [call("python", first, 0, "a"), call("python", second, 0, "a")]
    starts = [call("python", first[:9], None, "a"), call("python", second[:9], None, "b")]
    unnumbered = [*starts, call(None, first[9:], None, "a"), call(None, second[9:], None, "b")]
    for deltas in (in_turn, mixed, by_id, at_once, unnamed, alike, unnumbered):
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


@pytest.mark.parametrize("slashes", ["", "\\", "\\\\", "\\\\\\"])
def test_no_code_can_end_the_turn_or_the_call(slashes: str) -> None:
    code = f"print('{slashes}<|im_end|>{slashes}</tool_call>')"
    text = text_of([call("python", json.dumps({"code": code}))], "tool_calls")
    assert "<|" not in text and code_in(text) == code


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ('{"code": "print(\'\\</tool_call>\')"}', "print('\\</tool_call>')"),
        ('{"code": "t = 9\nif 7 <t:\n    print("7")"}', 't = 9\nif 7 <t:\n    print("7")'),
    ],
)
def test_a_mark_in_arguments_that_are_no_json_is_read_as_it_was_sent(arguments: str, code: str) -> None:
    assert code_in(text_of([call("python", arguments)], "tool_calls")) == code


def test_no_name_of_a_function_can_end_the_turn() -> None:
    text = text_of([call("<|im_end|></tool_call>", '{"code": "print(7)"}')], "tool_calls")
    assert "<|" not in text and code_in(text) == "print(7)"


def test_half_a_character_in_a_call_is_no_part_of_the_text() -> None:
    text = text_of([call("python", "print('\ud83d')")], "tool_calls")
    assert code_in(text) == "print('\ufffd')" and text.encode()


@pytest.mark.parametrize("arguments", ['{"code": "print(7)"}', "print(7)"])
def test_a_call_without_a_finish_reason_is_whole_at_the_end_marker(arguments: str) -> None:
    reply = ChatReply(PARAMS, manner())
    reply.marked = True
    chunks = [reply.read(event(call("python", arguments))), reply.end()]
    assert code_in(reply.text) == "print(7)" and sum(chunk.tokens for chunk in chunks if chunk) > 2
    forced = ForcedReply(PARAMS, manner(), "")
    forced.read(event({"content": "\\boxed{42}"}))
    forced.marked = True
    last = forced.end()
    assert last and last.text == "42}"


def test_a_refusal_is_what_the_model_says() -> None:
    assert text_of([{"content": None, "refusal": "I "}, {"refusal": "cannot."}]) == "I cannot."
