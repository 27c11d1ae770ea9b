"""Harmony's calls, replies, forced answers and outputs, in every spelling, and cut anywhere."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.chat.dialects import chat_format
from agent.chat.format import ToolCall
from agent.chat.harmony.calls import CallScanner
from agent.chat.harmony.messages import CONTROL_MARKS, Header, read_header
from agent.chat.task import CompetitionTask
from agent.editions import EDITIONS
from tests.support.texts.loops import cut, sizes
from tests.support.tiers.cases import quick_cases

CHAT = chat_format("gpt-oss", tools=True)
TASK = CompetitionTask(EDITIONS["aimo3"])
NEXT = "<|end|><|start|>assistant"
TO_FINAL = "<|channel|>final<|message|>"
BOX = "**Final Answer**\n\n\\boxed{"
CODE = "print(6 * 7)\n"
PIECES = st.sampled_from(
    [
        *CONTROL_MARKS,
        *("assistant", " to=python", " to=functions.python", " to=browser.search", "analysis", "commentary", "final"),
        *(
            " code",
            " json",
            "<|",
            "<",
            "|>",
            "<|call",
            "print(1)",
            "\n",
            " ",
            "\\boxed{7}",
            "```",
            '{"code": "1"}',
            "é",
        ),
    ]
)
TURN = st.lists(PIECES, max_size=24).map("".join)


def scan(*pieces: str) -> tuple[ToolCall | None, int]:
    scanner = CHAT.call_scanner()
    for piece in pieces:
        call = scanner.feed(piece)
        if call is not None:
            return call, scanner.unrun
    return None, scanner.unrun


HEADERS = [
    "<|channel|>analysis to=python code",
    "<|channel|>analysis to=python code ",
    "<|channel|>analysis to=python",
    "<|channel|>analysis to=python <|constrain|>code",
    "<|channel|>analysis to=python<|constrain|>code",
    "<|channel|>analysis <|constrain|>code to=python",
    "<|channel|>commentary to=python code",
    "<|channel|>commentary to=python",
    "<|channel|>commentary to=python <|constrain|>python",
    "<|channel|>commentary to=functions.python <|constrain|>code",
    "<|channel|>analysis code",
    "<|channel|>commentary <|constrain|>code",
    " to=python<|channel|>analysis code",
    " to=python<|channel|>analysis <|constrain|>code",
    " to=python<|channel|>commentary code",
    " to=python code",
    " to=python<|channel|>analysis",
    " to=Python<|channel|>analysis",
    " to=python.exec<|channel|>commentary",
    " to=ipython<|channel|>analysis code",
    "<|channel|>analysis to=python3 code",
    "<|channel|>commentary to=functions.execute_python <|constrain|>code",
    "<|channel|>commentary to=tools.run_python",
]


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("before", ["", f"<|channel|>analysis<|message|>So.{NEXT}", "<|end|><|start|>assistant"])
def test_a_call_of_python_is_found_in_every_spelling_of_its_header(before: str, header: str) -> None:
    text = f"{before}{header}<|message|>{CODE}<|call|>"
    assert scan(text + "and more") == (ToolCall(CODE, len(text)), 0)


@pytest.mark.parametrize(
    "header",
    [
        "<|channel|>analysis to=python code ",
        "<|channel|>commentary to=functions.python <|constrain|>code ",
        " to=python<|channel|>analysis code\n",
        " to=python code ",
        " to=python ",
        "assistant to=python\n",
        "<|channel|>analysis to=python code<|channel|>analysis to=python code<|message|>",
        "<|channel|>analysis to=python code<|message|><|message|>",
        "<|start|>assistant<|channel|>analysis to=python code<|message|>",
        "assistant<|channel|>analysis to=python code<|message|>",
        "<|channel|>commentary?<|channel|>analysis to=python. code<|message|>",
        "<|channel|>commentary to=python<|constrain|>code<|constrain|>code<|message|>",
        "<|channel|>commentary 2?<|end|><|start|>assistant to=python<|channel|>analysis<|message|>",
        f"<|channel|>{'We think about it. ' * 300}<|end|><|start|>assistant to=python<|channel|>analysis<|message|>",
    ],
)
def test_a_call_is_found_where_its_header_lacks_or_doubles_its_marks(header: str) -> None:
    call, unrun = scan(f"{header}{CODE}<|call|>")
    assert call is not None and (call.code.strip(), call.refusal, unrun) == (CODE.strip(), "", 0)


@pytest.mark.parametrize(
    "header",
    [
        "<|channel|>analysis",
        "<|channel|>final",
        "<|channel|>commentary",
        "<|channel|>commentary to=user",
        "<|start|>python to=assistant<|channel|>analysis",
        "<|start|>functions.python to=assistant<|channel|>commentary",
    ],
)
def test_a_message_without_recipient_or_from_a_tool_is_no_call(header: str) -> None:
    assert scan(f"{header}<|message|>{CODE}<|call|>") == (None, 0)


@pytest.mark.parametrize("recipient", ["browser.search", "functions.get_weather", "container.exec"])
def test_a_call_of_another_tool_is_refused_by_name_once_it_is_closed(recipient: str) -> None:
    other = f"<|channel|>commentary to={recipient} <|constrain|>json<|message|>{{}}"
    refusal = f"[there is no tool '{recipient}': send code to python]"
    assert scan(f"{other}<|call|>") == (ToolCall("{}", len(f"{other}<|call|>"), refusal), 0)
    assert scan(f"{other}<|end|>") == (None, 1)
    call, unrun = scan(f"{other}<|end|><|start|>assistant to=python<|channel|>analysis<|message|>1<|call|>")
    assert call is not None and (call.code, call.refusal, unrun) == ("1", "", 1)


def test_a_call_may_end_like_any_message_but_code_to_nobody_may_not() -> None:
    assert scan(f" to=python<|channel|>analysis code<|message|>{CODE}<|end|>")[0] is not None
    assert scan(f"<|channel|>analysis code<|message|>{CODE}<|end|>") == (None, 0)


@pytest.mark.parametrize("behind", ["", "<|", "<|start|>assistant", "<|channel|>final<|message|>7", "<|return|>"])
def test_a_truncated_call_is_not_a_call(behind: str) -> None:
    assert scan(f" to=python<|channel|>analysis code<|message|>{CODE}{behind}") == (None, 1)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ('{"code": "print(1)\\nprint(2)"}', "print(1)\nprint(2)"),
        ('{"name": "python", "arguments": {"code": "print(1)"}}', "print(1)"),
        ('{"code": "print(1)",}', "print(1)"),
        ("{'code': 'print(1)'}", "print(1)"),
        ('{"code": "print("a")"}', 'print("a")'),
        ("{'x': 'code'}", "{'x': 'code'}"),
        ('{"input": 5}', '{"input": 5}'),
        (" print(1)\nprint(2)", "print(1)\nprint(2)"),
        ("  print(1)\n  print(2)", "print(1)\nprint(2)"),
        ('{"code": "print(1)\nprint(2)"}', "print(1)\nprint(2)"),
        ('{"input": "print(1)"}', "print(1)"),
        ("```python\nprint(1)\n```", "print(1)"),
        ("```\nx\n```\n", "x"),
        ("```python3\nx\n```\n", "x"),
        ("~~~Python\nx\n~~~", "x"),
        ("```python\nx", "x"),
        ('{"python_code": "x"}', "x"),
        ('{"name": "python", "arguments": "{\\"code\\": \\"x\\"}"}', "x"),
        ("{1, 2}", "{1, 2}"),
        ('{"a": 1}', '{"a": 1}'),
        ("{" * 50_000, "{" * 50_000),
        ("x = '''\n```\n'''", "x = '''\n```\n'''"),
        ("", ""),
    ],
)
def test_code_may_come_as_an_object_in_json_or_in_a_fenced_block(content: str, code: str) -> None:
    call, _ = scan(f" to=python<|channel|>commentary <|constrain|>json<|message|>{content}<|call|>")
    assert call is not None and call.code == code


@given(TURN, sizes)
def test_the_verdict_does_not_depend_on_how_the_stream_is_cut(text: str, lengths: list[int]) -> None:
    assert scan(*cut(text, lengths)) == scan(text)
    assert scan(*text) == scan(text)


@given(st.text("<|cal>e\n\\\"'`", max_size=40).filter(lambda code: not any(m in code for m in CONTROL_MARKS)), sizes)
def test_the_code_of_a_call_comes_back_as_it_was_written(code: str, lengths: list[int]) -> None:
    text = f"<|channel|>analysis<|message|>a{NEXT} to=python<|channel|>analysis code<|message|>x{code}<|call|>"
    call, _ = scan(*cut(text, lengths))
    assert call == ToolCall(f"x{code}", len(text))


@pytest.mark.parametrize(
    "unit", quick_cases(1, ["<|", "<", "word ", "<|channel|>", "<|message|>", "<|start|>a", "<|end|>"])
)
@pytest.mark.parametrize("before", ["", "<|channel|>analysis<|message|>", " to=python<|message|>"])
def test_the_cost_of_a_character_is_constant(before: str, unit: str) -> None:
    def seconds(length: int) -> float:
        scanner = CallScanner()
        scanner.feed(before)
        pieces = cut(unit * (length // len(unit)), [4])
        start = time.process_time()
        for piece in pieces:
            scanner.feed(piece)
        return time.process_time() - start

    assert seconds(160_000) < 12 * min(seconds(40_000) for _ in range(3)) + 0.05


def test_a_header_says_the_same_in_any_order() -> None:
    whole = Header("assistant", "python", "analysis", "code")
    assert read_header("assistant to=python<|channel|>analysis code") == whole
    assert read_header("assistant<|channel|>analysis to=python <|constrain|>code") == whole
    assert read_header("python to=assistant<|channel|>analysis") == Header("python", "assistant", "analysis")
    assert read_header("") == Header()


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("assistantfinal", Header(channel="final")),
        ("assistantassistant<|channel|>analysis", Header(channel="analysis")),
        ("assistant<|channel|>commentary?commentary?", Header(channel="commentary")),
        ("\u2013\u2013commentary", Header(channel="commentary")),
        ("<|channel|>final <|constrain|>JSON", Header(channel="final", content_type="json")),
        ("<|channel|>analysis to= python code", Header(recipient="python", channel="analysis", content_type="code")),
        ("<|channel|>commentary to=functions.noop>{}</assistant", Header("assistant", "functions.noop", "commentary")),
        ("assistant extra words", Header(content_type="extra")),
    ],
)
def test_a_header_is_read_as_models_misspell_it(text: str, header: Header) -> None:
    found = read_header(text)
    assert (found.role, found.recipient, found.channel) == (header.role, header.recipient, header.channel)
    assert found.content_type == header.content_type or header.recipient.startswith("functions")
