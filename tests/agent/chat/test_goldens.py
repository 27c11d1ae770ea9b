"""Prompts, results, forced answers and whole lanes of the bundled families are byte for byte what they always were.

The goldens were written by the code before `ChatFormat` was its interface. A family that is changed on purpose gets its
lines anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.chat.dialects import chat_format
from agent.chat.format import ForcedAnswer
from agent.chat.reply import finished_answer, settled_answer
from agent.chat.task import CompetitionTask, Task
from agent.editions import EDITIONS
from agent.engine.base import SamplingParams
from agent.types import Problem
from tests.support.doubles import ScriptedEngine, ScriptedSandbox
from tests.support.lanes import CODE, run_lane
from tools.benchmark.sets.tasks import CHOICE, EXPRESSION, PROGRAM

TASKS: dict[str, Task] = {
    **{name: CompetitionTask(edition) for name, edition in EDITIONS.items()},
    "expression": EXPRESSION,
    "choice": CHOICE,
    "program": PROGRAM,
}


def goldens(kind: str) -> list[list[Any]]:
    lines = Path(__file__).with_name("goldens.jsonl").read_text(encoding="utf-8").splitlines()
    found = [row[1:] for row in map(json.loads, lines) if row[0] == kind]
    assert found
    return found


def test_prompts_and_their_prefixes() -> None:
    for family, tools, task, question, prefix, rest in goldens("prompts"):
        chat = chat_format(family, tools=tools)
        assert chat.prefix(TASKS[task]) == prefix
        assert chat.prompt(TASKS[task], Problem("a", question)) == prefix + rest


def test_what_forces_an_answer() -> None:
    for family, said, ended, inserted, begun in goldens("force"):
        forced = chat_format(family, tools=True).force_answer(said, ended=ended)
        assert (forced.inserted, forced.begun) == (inserted, begun)


def test_what_of_a_forced_answer_is_read() -> None:
    for reply, read in goldens("answers"):
        assert ForcedAnswer("", "\\boxed{").answer_text(reply) == read


def test_results_of_tool_calls() -> None:
    for family in ("qwen-coder", "qwq", "qwq-preview"):
        for output, shown in goldens("results"):
            assert chat_format(family, tools=True).tool_result(output) == shown


def test_answers_of_replies() -> None:
    task = TASKS["aimo3"]
    for family, thinking, text, finished, settled in goldens("turns"):
        reply = chat_format(family, tools=True).reply(text, thinking=thinking)
        assert (finished_answer(task, reply), settled_answer(task, reply)) == (finished, settled), text


def test_tool_calls() -> None:
    for family, text, found, unrun in goldens("calls"):
        chat = chat_format(family, tools=True)
        scanner = chat.call_scanner()
        assert scanner.feed(chat.opening) is None
        call = scanner.feed(text)
        assert ((call and [call.code, call.end]), scanner.unrun) == (found, unrun)


def test_stop_strings_and_marks() -> None:
    ((stop, marks),) = goldens("marks")
    for family in ("qwen-coder", "qwq", "qwq-preview"):
        chat = chat_format(family, tools=True)
        assert (list(chat.stop_strings), list(chat.turn_marks)) == (stop, marks)


@pytest.mark.parametrize("golden", goldens("lanes"))
def test_the_requests_and_the_record_of_a_lane(golden: list[Any]) -> None:
    family, last, at_close, requests, turns, answer, end, forced, last_prompt = golden
    asked: list[list[Any]] = []

    def reply(prompt: str, params: SamplingParams) -> str:
        asked.append([params.max_tokens, list(params.stop), params.temperature, params.thinking_tokens, params.seed])
        rounds = prompt.count("\n```output\n")
        if rounds < 2:
            return CODE if family != "qwen-coder" or rounds else "print(6 * 7)\n```"
        return "3}" if prompt.endswith(("\\boxed{", "\\boxed{7")) else last

    engine = ScriptedEngine(reply)
    sample = run_lane(
        engine,
        sandbox=ScriptedSandbox("1</think>"),
        sample__family=family,
        sample__max_tokens=60,
        sample__answer_at_think_close=at_close,
    )
    assert asked == requests
    assert [[turn.text, turn.inserted] for turn in sample.turns] == turns
    assert (sample.answer, str(sample.end), sample.forced) == (answer, end, forced)
    assert engine.prompts[-1] == last_prompt
