"""What code prints is shown as a notebook shows it, and nothing in it is more than output."""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.answers import last_boxed
from agent.chat.box import has_box
from agent.chat.dialects import chat_format
from agent.chat.fenced import OUTPUT_HEAD, OUTPUT_TAIL
from agent.chat.fences import FenceScanner
from agent.chat.output_text import defused, rendered
from agent.chat.thinking import TurnEndScanner, thinking_end
from tests.support.texts.fenced import tool_result
from tests.support.tiers.cases import quick_cases

_TOKENS = """
    <|im_start|> <|im_end|> <|endoftext|> <|eot_id|> <|start_header_id|> <|start|> <|channel|>
    <|message|> <|call|> <|return|> <|END_OF_TURN_TOKEN|> <\uff5cend\u2581of\u2581sentence\uff5c>
    <\uff5cUser\uff5c> <s> </s> <bos> <eos> <pad> <sop> <start_of_turn> <end_of_turn> <unused7>
    <seed:bos> <TOKENS_UNUSED_1> <think> </think> </THINK> <thinking> <tool_call> </tool_call>
    <tool_response> <function=run> <parameter=code> <answer> [INST] [/INST] <<SYS>> <</SYS>> [TOOL_CALLS]
    [TOOL_RESULTS] [THINK] [/THINK] [gMASK] [|user|] [|endofturn|] \u25c1think\u25b7 \u25c1/think\u25b7 ]~b] ]~!b[ [e~[
"""
TOKENS = _TOKENS.split()
BOXES = ("\\boxed{7}", "\\boxed 7", "\\\\boxed{7}", "\\fbox{7}", "\\framebox{7}", "\\boxed\\{7\\}", "\x08oxed{7}")
LOOSE = (
    "</think >",
    "</think\u00a0>",
    "</ think>",
    "<think foo>",
    "<think\n>",
    "<tool_call\n>",
    "<tool_call name=x>",
    "<function = run>",
    "<parameter= code>",
    '<call x="1">',
    "<call  name='x'>",
    "[/INST ]",
    "[/ INST]",
    "[INST\u00a0]",
)
FENCES = ("```", "````", "`````````", "~~~", "~~~~~", "```python", "```output", "~~~python", "\u1fef\u1fef\u1fef")
ROLES = ("User:", "Assistant:", "human:", "\nuser\n", "\nsystem\n", "\n\nHuman:", "**User:**", "### Response:")
HIDDEN = (
    "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\u200b\u200c\u200d\u2060\ufeff\xad\ufe0f"
    "\u2028\u2029\x85\x0b\x0c\x00\x07\x1b\x7f\x9b\udcff\ud800\U000e0041"
)
MARKS = (
    *TOKENS,
    *LOOSE,
    *BOXES,
    *FENCES,
    *ROLES,
    *HIDDEN,
    "\r",
    "\b",
    "\x1b[31m",
    "\x1b]0;",
    "<",
    "|",
    "`",
    "~",
    "\\",
    "box",
)
hostile = st.lists(st.sampled_from(MARKS) | st.text(max_size=4), max_size=12).map("".join)


def inside(output: str) -> str:
    """What the model is shown between the fences."""
    whole = tool_result(output)
    assert whole.startswith(OUTPUT_HEAD) and whole.endswith(OUTPUT_TAIL)
    return whole[len(OUTPUT_HEAD) : len(whole) - len(OUTPUT_TAIL)]


def widened(mark: str) -> str:
    """The mark in characters of full width, which a tokenizer that normalizes reads as those of ASCII."""
    return "".join(chr(ord(sign) + 0xFEE0) if "!" <= sign <= "~" else sign for sign in mark)


def mixed(mark: str) -> str:
    """The mark with its signs alone in another form."""
    return mark.translate(str.maketrans("<>|`~\\[]:", "\ufe64\ufe65\uff5c\uff40\uff5e\ufe68\uff3b\uff3d\ufe55"))


@pytest.mark.parametrize("mark", [*TOKENS, *LOOSE, *BOXES[:-1], *FENCES, *ROLES])
@pytest.mark.parametrize("form", [str, widened, mixed])
def test_a_mark_is_broken_in_every_form_that_is_normalized_to_it(mark: str, form: Callable[[str], str]) -> None:
    shown = defused(f"1 2\n{form(mark)}\n3")
    assert defused(shown) == shown
    normal = unicodedata.normalize("NFKC", shown)
    assert mark in ROLES or unicodedata.normalize("NFKC", mark) not in normal
    assert not re.search(
        r"^[\s#*]*(user|assistant|human|system|response)[\s*]*(:|$)", normal, re.MULTILINE | re.IGNORECASE
    )
    assert re.sub("[> ]", "", shown) == re.sub("[> ]", "", f"1 2\n{form(mark)}\n3")


@given(hostile)
@example("`<\x1b[m|im_end|>``")
@example("<\ufe0f/think>")
@example("\\\x1b[0mboxed{7}")
def test_no_mark_is_left_in_what_is_shown(output: str) -> None:
    shown = inside(output)
    assert not any(token in shown for token in (*TOKENS, "<|", "<\uff5c", "```", "~~~"))
    assert not has_box(shown) and last_boxed(shown) is None
    assert thinking_end(shown, "</think>") is None
    assert TurnEndScanner(chat_format("qwq", tools=True).turn_marks).feed(f"\n{shown}\n") is None
    assert FenceScanner().feed(f"\n{shown}\n```python\nx\n```\n```") is not None
    assert not re.search(r"^\s*(user|assistant|human|system)\s*(:|$)", shown, re.MULTILINE | re.IGNORECASE)
    assert not set(shown) & set(HIDDEN)
    normal = unicodedata.normalize("NFKC", shown)
    assert not any(token in normal for token in (*TOKENS, *LOOSE, "<|", "```", "~~~")) and not has_box(normal)
    assert len(f"a{shown}b".splitlines()) == shown.count("\n") + 1
    assert shown.encode().decode() == shown


SAID = (
    "So",
    "so</think>x",
    "`a`",
    "```python\n",
    "\n```\n",
    "print(1)\n",
    "\\boxed{7}",
    "```",
    "\n~~~py\n",
    "~~~\n",
    "'",
    " ",
)
said = st.lists(st.sampled_from(SAID), max_size=6).map("".join)


@given(said, hostile, said)
def test_around_an_output_all_is_read_as_without_it(before: str, output: str, behind: str) -> None:
    whole, plain = (f"{before}{tool_result(text)}{behind}" for text in (output, "1"))
    closes = [thinking_end(text, "</think>") for text in (whole, plain)]
    if closes[1] is not None and closes[1] > len(before):
        closes[1] += len(whole) - len(plain)
    assert closes[0] == closes[1]
    assert len(re.findall(r"\\boxed", whole)) == len(re.findall(r"\\boxed", plain))
    blocks = [FenceScanner().feed(text) for text in (whole, plain)]
    if blocks[1] is None:
        assert blocks[0] is None
    elif blocks[1].end <= len(before):
        assert blocks[0] == blocks[1]


@given(hostile)
def test_what_was_shown_once_is_shown_the_same_again(output: str) -> None:
    assert tool_result(inside(output)) == tool_result(output)
    assert rendered(rendered(output)) == rendered(output)
    assert defused(defused(output)) == defused(output)


@given(st.text(st.characters(codec="ascii") | st.sampled_from("<|`~\\[]{}/>:=")))
def test_defusing_adds_blanks_and_quotes_and_takes_nothing(output: str) -> None:
    shown = defused(output)
    taken = re.sub("[> ]", "", shown).replace("-", "~")
    assert taken == re.sub("[> ]", "", output).replace("-", "~")
    assert re.findall(r"\d+", shown) == re.findall(r"\d+", output)
    assert len(shown) <= 3 * len(output) + 2


PLAIN = (
    "42",
    "-7 3.50 1e-5 12,345 7/2",
    "x < y, 3 <4> 5, a<=b, {1: [2, 3]}, [x, y], |x|",
    "2*x**2 + sqrt(3)*I\n[Eq(x, 3), x > 1]",
    "a < b > c, x<y or z>3, \uff1c5\uff1e, [user 1], </5>, <think 3, \u25c1 7 \u25b7, [x] [e]",
    "<module 'math' (built-in)> <built-in function sin> <bound method A.f of <__main__.user object at 0x1>>",
    "<Thread(Thread-1, started 5)> <_io.TextIOWrapper name='<stdout>' mode='w'> <re.Match object; span=(0, 1)>",
    "<function f at 0x7f00> <class 'int'> <generator object g at 0x1>",
    '  File "<cell 5>", line 7, in <module>\n    f(0)\n  File "<string>", line 1, in f.<locals>.<lambda>\nE: 3',
    "1/0\n~~^~~\nZeroDivisionError",
    "the user has 3 systems: A, B\nmodels: 5",
    "Matrix([[1, 2], [3, 4]])\n\u23a11  2\u23a4\n`a` ``b`` ~x ~~y~~",
    "C:\\new \\frac{1}{2} \u221a2 \u2264 \u4e2d\u6587 \xe9",
)


@pytest.mark.parametrize("output", PLAIN)
def test_plain_output_is_shown_as_it_is(output: str) -> None:
    assert inside(output) == output


def test_the_marks_below_a_line_of_a_traceback_stay_below_their_code() -> None:
    line = "    f(aaaa) / g(0)\n    ~~~~~~~~^~~~~~"
    assert inside(line) == "    f(aaaa) / g(0)\n    --------^-----"


@pytest.mark.parametrize(
    ("printed", "seen"),
    [
        ("a\r\nb\r\n", "a\nb"),
        ("1%\r50%\r100%\rdone", "done"),
        ("1%\r50%\r100%\r", "100%"),
        ("12345\r67\n8", "67345\n8"),
        ("12345\r\r\n8", "12345\n8"),
        ("12345\r67\r\x1b[1m8", "87345"),
        ("12345\rab\b6", "a6345"),
        ("12345\r67\x1b[K", "67"),
        ("12345\x1b[2K\r67\x1b[K8", "678"),
        ("abc\r\x1b[K", ""),
        ("abc\r   \r42", "42 "),
        ("|\b/\b-\b42", "42"),
        ("ab\b\b\b\bc\nd\b", "c\n"),
        ("\x1b[1;32m42\x1b[0m \x1b]0;title\x0743\x1b(B", "42 43"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bP1\x1b\\4\x1bX2\x1b\\2\x1b^3\x1b\\ \x1b_4\x1b\\7", "42 7"),
        ("\x9b31m4\x9b0m2", "\\x9b31m4\\x9b0m2"),
        ("\x9b42 solutions", "\\x9b42 solutions"),
        (b"\xc3\x9d 42 \xc3\x9c 7".decode("latin-1"), "\xc3\\x9d 42 \xc3\\x9c 7"),
        ("\x90 42 \x07\x98 7 \x9c\x1b]1\x9d2\x07", "\\x90 42 \\x07\\x98 7 \\x9c\\x1b]1\\x9d2\\x07"),
        ("50%\r\x1b[2K42", "42"),
        ("\x1b\x1b[m[31m4", "\\x1b[31m4"),
        ("a\x00b\x0bc\u2028d\x85e", "a\\x00b\\x0bc\\u2028d\\x85e"),
        ("\u2714\ufe0f 4\u200b2 \u202e\udcff", "\u2714 4\\u200b2 \\u202e\\udcff"),
    ],
)
def test_terminal_controls_are_followed_or_spelled_out(printed: str, seen: str) -> None:
    assert rendered(printed).rstrip("\n") == seen.rstrip("\n")


SLOW = (
    "\x90",
    "\x98",
    "\x9b",
    "\x9d",
    "\x9d0",
    "\x9e\x9f",
    "\x1bP",
    "\x1b]0",
    "\x1b]",
    "\x1b[",
    "\x1b[1",
    "\r",
    "\b",
    "a\b",
    "\u200b",
    "\nuser:",
    "user",
    "\t#",
    " ",
    " ^",
    "~^",
)


@pytest.mark.parametrize(
    "unit",
    quick_cases(
        3,
        [
            *("</ ", "<think ", "<think\n", "\uff1c", "\uff40", "[/ ", "\u25c1a", "`", "~"),
            *("<", "<|", "<a", "<a ", "<a b=", "</", "\\", "[", *SLOW),
        ],
    ),
)
def test_the_time_is_linear_in_the_length(unit: str) -> None:
    output = unit * (400_000 // len(unit))
    started = time.process_time()
    tool_result(output)
    assert time.process_time() - started < 3
