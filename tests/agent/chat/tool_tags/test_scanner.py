"""Calls in tags are found however the stream is cut, and only where they are calls."""

from __future__ import annotations

import ast
import itertools
import json
import time
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.chat.format import ToolCall
from agent.chat.tool_tags.body import CallBody, read_code, read_function_call
from agent.chat.tool_tags.scanner import TagScanner


def scanner(*, thinking: bool = False, think_close: str = "</think>") -> TagScanner:
    return TagScanner(read_function_call, think_close, thinking=thinking)


def is_python(code: str) -> bool:
    try:
        ast.parse(code)
    except (SyntaxError, ValueError):
        return False
    return True


def called(code: str) -> str:
    return f"<tool_call>\n{json.dumps({'name': 'python', 'arguments': {'code': code}})}\n</tool_call>"


pieces = st.sampled_from(
    [
        *("<tool_call>", "</tool_call>", "<tool_call> \r", "\n", " ", "<", "</", "<think>", "</think>", "{", "so"),
        *("```", "```python\n", "\n```"),
        *('{"name": "python", "arguments": {"code": "print(1)"}}', "print(2)", called("x = 1"), "<tool_call>\n"),
    ]
)
texts = st.lists(pieces, max_size=12).map("".join)


@given(texts, st.lists(st.integers(0, 200)), st.booleans(), st.sampled_from([read_function_call, read_code]))
def test_the_verdict_does_not_depend_on_how_the_stream_is_cut(
    text: str, cuts: list[int], thinking: bool, read: Callable[[str], CallBody]
) -> None:
    whole = TagScanner(read, "</think>", thinking=thinking, fence_closes=read is read_code)
    expected = whole.feed(text)
    for places in ([0, *sorted(min(cut, len(text)) for cut in cuts), len(text)], range(len(text) + 1)):
        cut = TagScanner(read, "</think>", thinking=thinking, fence_closes=read is read_code)
        found = [call for start, end in itertools.pairwise(places) if (call := cut.feed(text[start:end]))][:1]
        assert found == ([expected] if expected else [])
        if expected is None:
            assert (cut.unrun, cut.is_open, cut.end_mark) == (whole.unrun, whole.is_open, whole.end_mark)


@given(st.text(max_size=40).filter(str.strip), st.text("ab<>\n ", max_size=9))
@example("}", "")
@example("y = {1: {2: {}}}", "")
def test_any_code_in_proper_json_is_run_as_it_is(code: str, behind: str) -> None:
    """But for braces at its end without which alone it is Python: they were meant to close the call."""
    whole = f"x = 0\n{code}"
    text = f"So:\n{called(whole)}"
    meant_behind = code.rstrip().endswith("}") and not is_python(whole)
    if not meant_behind and not any(mark in code for mark in ("tool_call>", "think>", "\\n")):
        assert scanner().feed(text + behind) == ToolCall(whole.strip("\r\n"), len(text))


@pytest.mark.parametrize(
    "text",
    [
        "I may write <tool_call></tool_call> around it.",
        "In <tool_call> tags.\n</tool_call>",
        "<tool_call>\nprint(1)",
        '<tool_call>\n{"name": "python", "arguments": {"code": "print(1)"}}\n',
        '<tool_call>\n{"name": "python", "arguments": {"code": "print(1)"}}</think>\n</tool_call>',
        "</tool_call>",
    ],
)
def test_a_tag_that_is_mentioned_and_a_call_that_is_cut_off_are_no_calls(text: str) -> None:
    assert scanner(thinking=True).feed(text) is None


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ('<tool_call>\n{"name": "python", "arguments": {"code": "print(1)"}}\n', True),
        ('<tool_call>\n{"name": "python", "arguments": {"code": "print(1)"', False),
        ('<tool_call>\n{"name": "python", "arguments": {"code": "print(', False),
        ("<tool_call>\n", False),
        ("so", False),
    ],
)
def test_a_whole_call_with_which_the_model_ends_its_turn_wants_only_the_tag(text: str, whole: bool) -> None:
    found = scanner()
    assert found.feed(text) is None
    assert found.end_mark == ("</tool_call>" if whole else "")
    assert (found.feed("</tool_call>") is not None) or not whole


@pytest.mark.parametrize(
    ("text", "code", "end"),
    [
        ("<tool_call>\nprint(1)\n```\n```output", "print(1)", "<tool_call>\nprint(1)\n```"),
        ("<tool_call>\n```python\nprint(1)\n```\n</tool_call>", "print(1)", None),
        ("<tool_call>\n\n```python\nprint(1)\n```\n</tool_call>", "print(1)", None),
        ("```\n<tool_call>\nprint(1)\n</tool_call>", "print(1)", None),
    ],
)
def test_a_fence_ends_code_in_tags_that_none_has_opened(text: str, code: str, end: str | None) -> None:
    found = TagScanner(read_code, "</think>", thinking=True, fence_closes=True)
    assert found.feed(text) == ToolCall(code, len(text if end is None else end))


def test_the_last_of_two_calls_that_were_begun_counts() -> None:
    found = scanner()
    call = found.feed(f"<tool_call>\n{called('print(2)')}")
    assert call and call.code == "print(2)" and found.unrun == 1


def test_what_cannot_be_read_is_refused_where_the_model_answers_and_passed_over_where_it_thinks() -> None:
    text = "<tool_call>\n{nothing}\n</tool_call>"
    refused = scanner().feed(text)
    assert refused and refused.code == "{nothing}" and "cannot be read" in refused.refusal
    thinks = scanner(thinking=True)
    assert thinks.feed(text) is None and thinks.unrun == 1
    assert thinks.feed("</think>") is None
    assert thinks.feed(text) is not None
    begins = scanner()
    assert begins.feed(f"<think>{text}") is None and begins.unrun == 1


def test_a_character_costs_the_same_however_long_the_stream_is() -> None:
    def seconds(length: int) -> float:
        found = scanner()
        found.feed("<tool_call>\n")
        started = time.process_time()
        for _ in range(length):
            found.feed("< a ")
        return time.process_time() - started

    seconds(2_000)
    limit = 25 * min(seconds(4_000) for _ in range(3)) + 0.05
    assert any(seconds(40_000) < limit for _ in range(3))
