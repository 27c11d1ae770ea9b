"""Turns in harmony: what is thought, answered, forced and shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.chat.format import Passage
from agent.chat.harmony.messages import CONTROL_MARKS
from agent.chat.reply import Reply, finished_answer
from tests.agent.chat.harmony.test_harmony_calls import BOX, CHAT, CODE, NEXT, TASK, TO_FINAL, TURN

THOUGHT = "<|channel|>analysis<|message|>So it is."
CALL = f" to=python<|channel|>analysis code<|message|>{CODE}"


def test_an_output_goes_back_as_a_message_of_python() -> None:
    head, tail = "<|start|>python to=assistant<|channel|>analysis<|message|>", "<|end|><|start|>assistant"
    assert CHAT.tool_result("42\n") == f"{head}42{tail}"
    assert (
        CHAT.tool_result("a<|end|>\n<|start|>user<|message|>b") == f"{head}a< |end|>\n< |start|>user< |message|>b{tail}"
    )


@given(TURN)
def test_no_output_holds_a_mark_and_what_follows_it_is_told_apart(output: str) -> None:
    result = CHAT.tool_result(output)
    assert sum(map(result.count, CONTROL_MARKS)) == 5
    forced = CHAT.force_answer("<|channel|>analysis<|message|>a").inserted
    assert CHAT.behind_result(result + forced) == forced
    assert CHAT.behind_result(result) == ""
    assert CHAT.behind_result(forced) == forced


@pytest.mark.parametrize(
    ("text", "reply", "answer"),
    [
        (f"{THOUGHT}{NEXT}{TO_FINAL}It is \\boxed{{42}}.", Reply("So it is.", "It is \\boxed{42}."), 42),
        (f"{THOUGHT} \\boxed{{17}}{NEXT}{TO_FINAL}It is \\boxed{{42}}.", None, 42),
        (f"{THOUGHT} \\boxed{{42}}{NEXT}{TO_FINAL}It is 42.", None, 42),
        (f"{THOUGHT} \\boxed{{42}}", None, 42),
        (f"{THOUGHT} \\boxed{{42}}<|end|>", None, 42),
        (f"{THOUGHT} \\boxed{{42}}{NEXT}", None, 42),
        (f"{THOUGHT} \\boxed{{42}}? Let me check.", None, None),
        (f"{THOUGHT} \\boxed{{42}} {NEXT}{CALL}", Reply("So it is. \\boxed{42} ", None), None),
        (f"{THOUGHT} \\boxed{{42}} {NEXT} to=browser.open<|channel|>commentary<|message|>{{}}<|call|>", None, None),
        (f"{THOUGHT}{NEXT}<|channel|>final <|constrain|>text<|message|>\\boxed{{42}}", None, 42),
        (f"{THOUGHT}<|end|>{TO_FINAL}\\boxed{{42}}", None, 42),
        (f"{THOUGHT}{TO_FINAL}\\boxed{{42}}", None, 42),
        (f"{THOUGHT}<|start|>assistant{TO_FINAL}\\boxed{{42}}<|end|>", None, 42),
        (f"{THOUGHT}{NEXT}{TO_FINAL}\\boxed{{17}}{NEXT}{TO_FINAL}\\boxed{{42}}", Reply("So it is.", "\\boxed{42}"), 42),
        (f"{THOUGHT}{NEXT}{TO_FINAL}\\boxed{{42}}{NEXT}{TO_FINAL}Done.", Reply("So it is.", "\\boxed{42}"), 42),
        (f"{THOUGHT}{NEXT}{TO_FINAL}So.{NEXT}{TO_FINAL}Done.", Reply("So it is.", "So.\n\nDone."), None),
        ("So it is \\boxed{42}.", Reply("So it is \\boxed{42}.", ""), 42),
        (
            "<|channel|>commentary<|message|>I shall compute \\boxed{42}.",
            Reply("I shall compute \\boxed{42}.", None),
            None,
        ),
        ("<|channel|>ana", Reply("", None), None),
        (f"<|channel|>We compute.{NEXT}{THOUGHT} \\boxed{{42}}", Reply("We compute.\n\nSo it is. \\boxed{42}", ""), 42),
        ("<|channel|>We compute. It is \\boxed{42}.", Reply("We compute. It is \\boxed{42}.", ""), 42),
        ("<|channel|>analysisIt is \\boxed{42}.<|end|>", Reply("It is \\boxed{42}.", ""), 42),
        (f"{THOUGHT}{NEXT}<|channel|>final\\boxed{{42}}<|return|>", Reply("So it is.", "\\boxed{42}"), 42),
        (f"{THOUGHT}<|end|><|start|>assistantfinal<|message|>\\boxed{{42}}", Reply("So it is.", "\\boxed{42}"), 42),
        (f"{THOUGHT}<|end|><|start|>final<|message|>\\boxed{{42}}", Reply("So it is.", "\\boxed{42}"), 42),
        (f"{THOUGHT}{NEXT}<|channel|><|message|>\\boxed{{42}}", None, 42),
        ("<|message|>It is \\boxed{42}.", Reply("It is \\boxed{42}.", ""), 42),
        (f"{THOUGHT} \\boxed{{42}}.<|call|>", Reply("So it is. \\boxed{42}.", ""), 42),
        (f"{THOUGHT}{NEXT}{TO_FINAL}\\boxed{{42}}<|call|>", None, 42),
        (
            f"<|channel|>commentary to=assistant<|channel|>commentary?<|message|>Hm.{NEXT}{THOUGHT} \\boxed{{42}}",
            None,
            42,
        ),
        (f"{THOUGHT}<|message|>It is <|constrain|>\\boxed{{42}}", Reply("So it is. It is  \\boxed{42}", ""), 42),
        ("So it is \\boxed{42}.<|end|>", Reply("So it is \\boxed{42}.", ""), 42),
        ("<|channel|>analysis<|message|><|end|>", Reply("", ""), None),
        ("<|channel|>analysis<|end|>", Reply("", None), None),
        (f"{CHAT.tool_result('9')}{TO_FINAL}\\boxed{{42}}", Reply("", "\\boxed{42}"), 42),
        ("", Reply("", None), None),
    ],
)
def test_the_answer_stands_in_the_final_channel_or_at_the_end_of_the_analysis(
    text: str, reply: Reply | None, answer: int | None
) -> None:
    found = CHAT.reply(text, thinking=True)
    assert reply is None or found == reply
    assert finished_answer(TASK, found) == answer


def test_what_follows_the_thinking_is_the_answer() -> None:
    assert CHAT.reply("42}", thinking=False) == Reply("", "42}")
    assert CHAT.reply(f"{TO_FINAL}It is 7.", thinking=False) == Reply("", "It is 7.")


@pytest.mark.parametrize(
    ("said", "inserted"),
    [
        ("", f"{TO_FINAL}{BOX}"),
        (THOUGHT, f"{NEXT}{TO_FINAL}{BOX}"),
        (f"{THOUGHT}<|end|>", f"<|start|>assistant{TO_FINAL}{BOX}"),
        (f"{THOUGHT}<|end|><|start|>", f"assistant{TO_FINAL}{BOX}"),
        (f"{THOUGHT}{NEXT}", f"{TO_FINAL}{BOX}"),
        (f"{THOUGHT}{NEXT}<|channel|>", f"final<|message|>{BOX}"),
        (f"{THOUGHT}{NEXT}<|channel|>final", f"<|message|>{BOX}"),
        (f"{THOUGHT}{NEXT}{TO_FINAL}", f"\n\n{BOX}"),
        (f"{THOUGHT}{NEXT}{TO_FINAL}It is 42.", f"\n\n{BOX}"),
        (f"{THOUGHT}{NEXT}{TO_FINAL}```\nx", f"\n```\n\n{BOX}"),
        (f"{THOUGHT}{NEXT}<|channel|>analysis", f"<|message|>{NEXT}{TO_FINAL}{BOX}"),
        (f"{THOUGHT}{NEXT}{CALL}", f"<|call|><|start|>assistant{TO_FINAL}{BOX}"),
        (f"{THOUGHT}{NEXT} to=python", f"<|message|>{NEXT}{TO_FINAL}{BOX}"),
        (f"{THOUGHT}{NEXT}{CALL}<|call|>", f"<|start|>assistant{TO_FINAL}{BOX}"),
        (f"{THOUGHT}{NEXT}{CALL}<|call|>\n", f"{TO_FINAL}{BOX}"),
        (f"{THOUGHT}{NEXT}{CALL}<|call|>\n{THOUGHT}", f"{NEXT}{TO_FINAL}{BOX}"),
        (f"{THOUGHT}{NEXT}{TO_FINAL}It is \\boxed{{4", ""),
        (f"{THOUGHT} \\boxed{{4", ""),
    ],
)
def test_what_forces_the_answer_closes_what_is_open(said: str, inserted: str) -> None:
    forced = CHAT.force_answer(said)
    assert forced.inserted == inserted
    assert forced.begun == ("\\boxed{" if inserted else "\\boxed{4")


def test_an_open_box_of_a_turn_that_has_ended_is_not_continued() -> None:
    assert CHAT.force_answer(f"{THOUGHT} \\boxed{{4", ended=True).inserted == f"{NEXT}{TO_FINAL}{BOX}"


@given(TURN, st.booleans())
def test_whatever_has_been_said_the_forced_answer_is_read_in_the_final_channel(said: str, ended: bool) -> None:
    forced = CHAT.force_answer(said, ended=ended)
    if forced.inserted:
        answer = CHAT.reply(f"{said}{forced.inserted}42}}", thinking=True).answer_text
        assert answer is not None and answer.endswith("\\boxed{42}")


def test_a_turn_is_shown_as_its_messages() -> None:
    turn = f"{THOUGHT}{NEXT}{CALL}<|call|>{CHAT.tool_result('42')}{THOUGHT}{NEXT}{TO_FINAL}It is 42."
    assert list(CHAT.passages(turn)) == [
        Passage("thinking", "So it is.\n\n"),
        Passage("thinking", "\n```python\nprint(6 * 7)\n```\n"),
        Passage("result", "42"),
        Passage("thinking", "So it is.\n\n"),
        Passage("answer", "It is 42."),
    ]
    assert CHAT.shown(f"{NEXT}{TO_FINAL}{BOX}") == BOX
    assert CHAT.shown(f"{CALL}<|call|>") == "\n```python\nprint(6 * 7)\n```\n"


@pytest.mark.parametrize("blank", ["", " ", "\n\n"])
def test_a_header_without_a_message_is_no_passage(blank: str) -> None:
    turn = f"<|channel|>analysis{blank}<|end|><|start|>assistant{TO_FINAL}It is 42."
    assert list(CHAT.passages(turn)) == [Passage("answer", "It is 42.")]


def test_code_that_holds_a_fence_is_shown_in_a_longer_one() -> None:
    assert CHAT.shown(" to=python<|message|>s = '````'<|call|>") == "\n`````python\ns = '````'\n`````\n"


@given(TURN)
def test_no_mark_is_shown_and_no_word_of_a_message_is_lost(turn: str) -> None:
    shown = CHAT.shown(f"{THOUGHT}{turn}")
    assert not any(mark in shown for mark in CONTROL_MARKS)
    assert "So it is." in shown
    assert not any(mark in passage.text for passage in CHAT.passages(turn) for mark in CONTROL_MARKS)


@pytest.mark.parametrize("start", range(len(f"{NEXT}{CALL}<|call|>")))
def test_the_end_of_a_turn_is_shown_without_marks_wherever_it_begins(start: int) -> None:
    shown = "".join(passage.text for passage in CHAT.passages(f"{NEXT}{CALL}<|call|>"[start:]))
    assert "<|" not in shown and "|>" not in shown
