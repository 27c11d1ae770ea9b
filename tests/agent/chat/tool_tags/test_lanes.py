"""Lanes whose model calls Python by function calls in JSON, or by code in tags."""

from __future__ import annotations

from typing import Any

import pytest

from agent.chat.dialects import chat_format
from agent.engine.base import SamplingParams
from agent.types import SampleEnd, ToolStatus
from tests.support.doubles import PROBLEM, Recorder, ScriptedEngine, ScriptedSandbox, config_with, runtime
from tests.support.lanes import run_lane

CUT_CALL = '<tool_call>\n{"name": "python", "arguments": {"code": "print(6 * 7)'
CALL = '<tool_call>\n{"name": "python", "arguments": {"code": "print(6 * 7)"}}\n</tool_call>'
RESULT = "<|im_end|>\n<|im_start|>user\n<tool_response>\n42\n</tool_response><|im_end|>\n<|im_start|>assistant\n"


def scripted(*replies: str) -> ScriptedEngine:
    """Gives the first reply to the first request, and so on; the last one to all that follow."""
    left = list(replies)

    def reply(prompt: str, params: SamplingParams) -> str:
        return left.pop(0) if len(left) > 1 else left[0]

    return ScriptedEngine(reply)


@pytest.mark.parametrize("ending", ["", "<|im_end|>\n", "\n<tool_call>\n{}\n</tool_call><|im_end|>", "\nmade up 17"])
def test_a_function_call_is_run_and_its_result_comes_in_a_turn_of_the_users(ending: str) -> None:
    engine = scripted(f"I compute.\n</think>\n\n{CALL}{ending}", "Good.\n</think>\n\nIt is \\boxed{42}.")
    sandbox = ScriptedSandbox("42\n")
    sample = run_lane(engine, sandbox=sandbox, sample__family="qwq-calls")
    assert (sample.answer, sample.end, sample.unrun_blocks) == (42, SampleEnd.ANSWERED, 0)
    assert sandbox.cells == ["print(6 * 7)"]
    assert sample.turns[0].text == f"I compute.\n</think>\n\n{CALL}"
    assert sample.turns[0].inserted == f"{RESULT}<think>\n"
    assert engine.prompts[-1] == f"PROMPT{sample.turns[0].text}{RESULT}<think>\n"


@pytest.mark.parametrize("family", ["qwq-calls", "qwen3"])
def test_behind_a_result_the_model_thinks_anew_and_its_guesses_there_are_no_answers(family: str) -> None:
    opened = "" if family == "qwq-calls" else "<think>\n"
    thought = f"{opened}Perhaps \\boxed{{17}}, but then"
    sample = run_lane(scripted(f"{opened}so\n</think>\n{CALL}", thought, "42}"), sample__family=family)
    assert (sample.answer, sample.end, sample.forced) == (42, SampleEnd.INCOMPLETE, True)
    assert sample.turns[-2].inserted == "\n</think>\n\n**Final Answer**\n\n\\boxed{"
    ended = run_lane(
        scripted(f"{opened}so\n</think>\n{CALL}", f"{thought} no.\n</think>\nSo \\boxed{{42}}."), sample__family=family
    )
    assert (ended.answer, ended.end) == (42, SampleEnd.ANSWERED)


def test_a_model_that_opens_its_thinking_itself_need_not_think() -> None:
    sample = run_lane(scripted(f"I call.\n{CALL}", "It is \\boxed{42}."), sample__family="qwen3")
    assert (sample.answer, sample.end) == (42, SampleEnd.ANSWERED)


def test_a_call_that_cannot_be_read_is_refused_in_a_sentence_and_nothing_is_run() -> None:
    recorder, sandbox = Recorder(), ScriptedSandbox()
    engine = scripted(f"</think>{CALL.replace('code', 'query').replace('python', 'search')}", "</think>\\boxed{42}")
    sample = run_lane(engine, sandbox=sandbox, emit=recorder, sample__family="qwq-calls")
    (run,) = sample.tool_runs
    assert sample.answer == 42 and not sandbox.cells and sandbox.open_sessions == 0
    assert (run.status, run.seconds) == (ToolStatus.ERROR, 0.0) and "no function 'search'" in run.output
    assert "no function 'search'" in engine.prompts[-1]
    failed = run_lane(
        scripted(f"</think>{CALL[:20]}\n</tool_call>"), sample__family="qwq-calls", sample__max_failed_tool_runs=1
    )
    assert failed.end is SampleEnd.FAILED_CODE


def test_a_call_that_the_end_of_the_turn_cuts_off_is_not_run() -> None:
    sandbox = ScriptedSandbox()
    sample = run_lane(scripted(f"</think>{CUT_CALL}", "7}"), sandbox=sandbox, sample__family="qwq-calls")
    assert not sandbox.cells and sample.unrun_blocks == 1
    assert sample.turns[0].inserted == "\n</tool_call>\n\n**Final Answer**\n\n\\boxed{"


@pytest.mark.parametrize(
    ("said", "blocks"),
    [
        ("</think>Run this:\n```python\nprint(6 * 7)\n```\n", 1),
        ("</think>Run this:\n```python\nprint(6 * 7)\n```\nand\n```py\nprint(7)\n```\nand\n```python\nprint(", 3),
        ("</think>As text:\n```text\nprint(6 * 7)\n```\n", 0),
        (f"</think>At first\n```python\nprint(7)\n```\n{CALL}", 0),
        (f"</think>{CUT_CALL}```python\n1\n```\n", 1),
        ("At first\n```python\nprint(7)\n```\n and\n```python\n</think>\nIt is \\boxed{42}.", 0),
        ("At first\n```python\nprint(7)\n```\n</think>```python\nprint(6 * 7)\n```\n", 1),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 1_000])
def test_fenced_code_in_place_of_a_call_is_not_run_but_counted(said: str, blocks: int, step: int) -> None:
    scanner = chat_format("qwq-calls", tools=True).call_scanner()
    assert [scanner.feed(said[start : start + step]) for start in range(0, len(said), step)]
    assert scanner.unrun == blocks
    sandbox = ScriptedSandbox("42\n")
    sample = run_lane(scripted(said, "</think>\\boxed{42}"), sandbox=sandbox, sample__family="qwq-calls")
    assert len(sandbox.cells) == (CALL in said) and sample.turns[0].unrun_blocks == blocks


def test_code_that_is_quoted_in_the_answer_of_a_sample_that_called_python_is_not_counted() -> None:
    engine = scripted(f"</think>{CALL}", "</think>I ran\n```python\nprint(6 * 7)\n```\nso \\boxed{42}.")
    sample = run_lane(engine, sandbox=ScriptedSandbox("42\n"), sample__family="qwq-calls")
    assert (sample.answer, len(sample.tool_runs), sample.unrun_blocks) == (42, 1, 0)


def test_a_whole_call_that_the_end_of_the_turn_closes_is_run_as_some_servers_leave_the_tag_out() -> None:
    sandbox = ScriptedSandbox("42\n")
    engine = scripted(f"</think>{CALL.removesuffix('</tool_call>')}", "</think>It is \\boxed{42}.")
    sample = run_lane(engine, sandbox=sandbox, sample__family="qwq-calls")
    assert (sample.answer, sandbox.cells, sample.turns[0].text) == (42, ["print(6 * 7)"], f"</think>{CALL}")


def test_code_in_tags_is_run_and_its_output_comes_in_the_same_turn() -> None:
    engine = scripted("so <tool_call>\nprint(6 * 7)\n</tool_call>\nmade up", "fine\n</think>\nIt is \\boxed{42}.")
    sandbox = ScriptedSandbox("42\n")
    sample = run_lane(engine, sandbox=sandbox, sample__family="openmath-nemotron", sample__max_rounds=8)
    assert (sample.answer, sandbox.cells) == (42, ["print(6 * 7)"])
    written = "PROMPTso <tool_call>\nprint(6 * 7)\n</tool_call>\n```output\n42\n```\n"
    assert engine.prompts[-1].startswith(f"{written}```system\nRemaining code executions: 7. You will not be able")


def test_a_family_that_was_trained_on_it_is_told_after_each_output_how_many_calls_are_left() -> None:
    call = "<tool_call>\nprint(6 * 7)\n</tool_call>"
    engine = scripted(call, call, "fine\n</think>\nIt is \\boxed{42}.")
    keys: dict[str, Any] = {"sample__family": "openmath-nemotron", "sample__max_rounds": 2}
    sample = run_lane(engine, sandbox=ScriptedSandbox("42\n"), **keys)
    chat = chat_format("openmath-nemotron", tools=True)
    first, last = (turn.inserted for turn in sample.turns[:2])
    assert (first, last) == tuple(chat.tool_result("42\n") + chat.after_result(left) for left in (1, 0))
    assert "Remaining code executions: 1. You" in first and "You have run out of code executions!" in last
    assert "no more Python" not in last and first.endswith("```\n") and last.endswith("```\n")
    assert all(chat.behind_result(inserted) == "" for inserted in (first, last))
    passages = list(chat.passages("".join(turn.text + turn.inserted for turn in sample.turns)))
    assert [passage.text for passage in passages if passage.kind == "result"] == ["42"] * 2
    said = [passage.text for passage in passages if passage.kind == "agent"]
    assert [text.split(".")[0].split("!")[0] for text in said] == [
        "Remaining code executions: 1",
        "You have run out of code executions",
    ]
    assert not any("executions" in passage.text for passage in passages if passage.kind != "agent")
    assert sample.answer == 42


def test_other_families_are_told_with_the_last_output_alone() -> None:
    for family in ("qwen-coder-tagged", "qwq-calls", "gpt-oss"):
        assert [chat_format(family, tools=True).after_result(left) for left in (0, 1, 5)] == ["", "", ""]


def test_the_coders_call_that_its_prompt_opens_is_closed_by_its_first_words() -> None:
    sandbox = ScriptedSandbox("42\n")
    for family, said in (
        ("qwen-coder-calls", 'print(6 * 7)"}}\n</tool_call>'),
        ("qwen-coder-tagged", "print(6 * 7)\n</tool_call>"),
    ):
        sample = run_lane(scripted(said, "It is \\boxed{42}."), sandbox=sandbox, sample__family=family)
        assert (sample.answer, sample.turns[0].text) == (42, said)
    assert sandbox.cells == ["print(6 * 7)"] * 2


async def test_the_prompt_names_how_many_calls_there_may_be() -> None:
    parts = runtime(scripted(""), config_with(sample__family="openmath-nemotron", sample__max_rounds=6))
    assert "up to 6 Python code calls" in parts.chat.prompt(parts.task, PROBLEM)


@pytest.mark.parametrize("family", ["qwq-calls", "qwen3-thinking"])
def test_where_a_thinking_that_closes_on_a_box_has_answered_one_that_does_not_continues_to_its_call(
    family: str,
) -> None:
    keys: dict[str, Any] = {"sample__family": family, "sample__answer_at_think_close": True}
    boxed = run_lane(scripted(f"It is \\boxed{{42}}.\n</think>\n\n{CALL}"), **keys)
    assert (boxed.answer, boxed.end, boxed.tool_runs) == (42, SampleEnd.ANSWERED, ())
    assert len(boxed.turns) == 1
    for open_end in ("I compute.", "Perhaps \\boxed{17}, let me check that.", "If \\boxed{17}, why 18?"):
        engine = scripted(f"{open_end}\n</think>\n\n{CALL}", "Good: \\boxed{42}.\n</think>\n\nSo \\boxed{17}.")
        called = run_lane(engine, **keys)
        assert (called.answer, called.end, len(called.tool_runs)) == (42, SampleEnd.ANSWERED, 1)
        assert len(called.turns) == 2


def test_a_call_within_the_thinking_is_run_whatever_box_stands_before_it() -> None:
    keys: dict[str, Any] = {"sample__family": "qwq-calls", "sample__answer_at_think_close": True}
    sample = run_lane(scripted(f"It is \\boxed{{17}}.\n{CALL}\n</think>", "No: \\boxed{42}.\n</think>"), **keys)
    assert (sample.answer, len(sample.tool_runs)) == (42, 1)


def test_what_is_told_of_the_calls_left_fits_the_context_with_a_long_output() -> None:
    keys: dict[str, Any] = {"sample__family": "openmath-nemotron", "engine__context_tokens": 2_000}
    engine = scripted("<tool_call>\nprint(6 * 7)\n</tool_call>", "so\n</think>\\boxed{42}")
    sample = run_lane(engine, sandbox=ScriptedSandbox("9" * 3_000), **keys)
    inserted = sample.turns[0].inserted
    assert sample.answer == 42 and "cut to fit" in inserted and inserted.endswith("after that.\n```\n")
    assert len(inserted) < 1_000
