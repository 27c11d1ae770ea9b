"""What the dialect of function calls writes is what the models' own chat templates render for the same conversation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2.sandbox import ImmutableSandboxedEnvironment

from agent.chat.dialects import chat_format
from agent.chat.family import load_family
from agent.chat.format import ChatFormat
from agent.chat.output_text import defused
from agent.chat.output_text import rendered as shown_output
from agent.chat.task import CompetitionTask, plain_question
from agent.chat.tool_tags.function_calls import PYTHON_TOOL
from agent.editions import EDITIONS
from agent.engine.base import SamplingParams
from agent.lane.lane import Lane
from agent.types import Problem, Sample
from tests.support.doubles import PROBLEM, ScriptedEngine, config_with, runtime
from tests.support.lanes import EngineWithIds
from tests.support.texts.odd import CONTROL_TEXTS, ODD_TEXTS
from tests.support.tiers.cases import examples
from tests.support.virtual_time import run_virtual

TEMPLATES = Path(__file__).parents[5] / "shared" / "facts" / "chat_templates"
GENUINE: Mapping[str, Sequence[str]] = {
    "Qwen-QwQ-32B": ("qwq-calls", "qwq"),
    "Qwen-Qwen3-0.6B": ("qwen3",),
    "Qwen-Qwen2.5-7B-Instruct": ("qwen-coder-calls", "qwen-coder"),
}
TASK = CompetitionTask(EDITIONS["aimo3"])
QUESTION = 'What is $6 \\cdot 7$?\nThink of \u03c0 & <b>"this"</b>.'
Message = dict[str, Any]


@cache  # compiling takes far longer than rendering
def template(name: str) -> jinja2.Template:
    path = TEMPLATES / f"{name}.jinja"
    if not path.is_file():
        pytest.skip(f"the genuine template {name} is not here")
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.from_string(path.read_text(encoding="utf-8"))


def called(code: str, content: str) -> Message:
    call = {"type": "function", "function": {"name": "python", "arguments": {"code": code}}}
    return {"role": "assistant", "content": content, "tool_calls": [call]}


def told(family: str, *, tools: bool, question: str = QUESTION) -> list[Message]:
    """The conversation that the family's prompt begins with, up to the question."""
    loaded = load_family(family)
    usual = loaded.tool_instructions if tools else loaded.instructions
    messages: list[Message] = [{"role": "system", "content": TASK.instructions(usual)}]
    for example in loaded.examples if tools else ():
        messages += [
            {"role": "user", "content": example.question},
            called(example.code, ""),
            {"role": "tool", "content": example.output},
            {"role": "assistant", "content": f"So the answer is \\boxed{{{example.output}}}."},
        ]
    return [*messages, {"role": "user", "content": question}]


def rendered(name: str, messages: list[Message], *, tools: bool, more: bool = True) -> str:
    offered = [PYTHON_TOOL] if tools else None
    return template(name).render(messages=messages, tools=offered, add_generation_prompt=more)


def prompt(chat: ChatFormat, family: str, question: str = QUESTION) -> str:
    """The prompt without what the family writes for the model of its turn, the start of the thinking left aside."""
    whole = chat.prompt(TASK, Problem("a", question))
    return whole.removesuffix(chat.opening) + load_family(family).opening


@pytest.mark.parametrize(("name", "family"), [(name, families[0]) for name, families in GENUINE.items()])
def test_a_prompt_with_tools_is_what_the_template_renders(name: str, family: str) -> None:
    assert prompt(chat_format(family, tools=True), family) == rendered(name, told(family, tools=True), tools=True)


@pytest.mark.parametrize(("name", "family"), [(name, family) for name, them in GENUINE.items() for family in them])
def test_a_prompt_without_tools_is_what_the_template_renders(name: str, family: str) -> None:
    assert prompt(chat_format(family, tools=False), family) == rendered(name, told(family, tools=False), tools=False)


@pytest.mark.parametrize("question", [*ODD_TEXTS, *CONTROL_TEXTS])
@pytest.mark.parametrize(("name", "family"), [(name, families[0]) for name, families in GENUINE.items()])
def test_odd_questions_and_results_stand_as_in_the_template_but_for_what_is_broken(
    name: str, family: str, question: str
) -> None:
    chat, messages = chat_format(family, tools=True), told(family, tools=True, question=plain_question(question))
    assert prompt(chat, family, question) == rendered(name, messages, tools=True)
    output = defused(shown_output(question).strip("\n"))
    more = [called("print(6 * 7)\n", ""), {"role": "tool", "content": output}]
    whole = prompt(chat, family, question).removesuffix(load_family(family).opening) + CALL + chat.tool_result(question)
    assert whole == rendered(name, [*messages, *more], tools=True)


CALL = '<tool_call>\n{"name": "python", "arguments": {"code": "print(6 * 7)\\n"}}\n</tool_call>'


@pytest.mark.parametrize("thought", ["", "Let me compute.\n\nOr not."])
def test_qwen3_is_continued_over_tool_calls_as_its_template_does_it(thought: str) -> None:
    chat = chat_format("qwen3", tools=True)
    written = f"<think>\n{thought}\n</think>\n\n" if thought else ""
    messages = told("qwen3", tools=True)
    messages += [called("print(6 * 7)\n", written), {"role": "tool", "content": "42"}]
    messages += [called("print(6 * 7)\n", f"{written}Once more."), {"role": "tool", "content": "4\n\n2"}]
    ours = chat.prompt(TASK, Problem("a", QUESTION)) + written + CALL + chat.tool_result("42")
    ours += f"{written}Once more.\n{CALL}" + chat.tool_result("4\n\n2")
    assert ours == rendered("Qwen-Qwen3-0.6B", messages, tools=True)


def test_qwen_coder_is_continued_over_tool_calls_as_its_template_does_it() -> None:
    chat = chat_format("qwen-coder-calls", tools=True)
    messages = [*told("qwen-coder-calls", tools=True), called("print(6 * 7)\n", ""), {"role": "tool", "content": "42"}]
    whole = chat.prompt(TASK, Problem("a", QUESTION)).removesuffix(chat.opening) + CALL + chat.tool_result("42")
    assert whole == rendered("Qwen-Qwen2.5-7B-Instruct", messages, tools=True)


def test_qwq_is_continued_as_its_template_does_it_but_for_the_thinking_which_is_kept() -> None:
    chat = chat_format("qwq-calls", tools=True)
    messages = told("qwq-calls", tools=True)
    messages += [called("print(6 * 7)\n", "Let me compute.\n</think>\n\nI run it."), {"role": "tool", "content": "42"}]
    begun = chat.prompt(TASK, Problem("a", QUESTION))
    said = f"Let me compute.\n</think>\n\nI run it.\n{CALL}"
    theirs = rendered("Qwen-QwQ-32B", messages, tools=True)
    kept = "<think>\nLet me compute.\n</think>\n\n"
    assert kept in begun + said and kept not in theirs
    assert (begun + said + chat.tool_result("42")).replace(kept, "") == theirs


FORGETTING = """\
dialect = "chatml-calls"
instructions = "Think."
tool_instructions = "Compute."
opening = "<think>\\n"
think_close = "</think>"
keeps_thinking = false
"""
THOUGHTS = st.sampled_from(["", "Let me compute.", "\n\nSo.\n", "No </think> yet.\nOr </think>"])
SAID = st.sampled_from(["", "I run it.", "\n I do.\n", "</thin", "So:\n\nx"])


@pytest.fixture(scope="module")
def forgetting(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("own") / "forgetting.toml"
    path.write_text(FORGETTING, encoding="utf-8")
    return str(path)


@examples(60)
@given(st.lists(st.tuples(THOUGHTS, SAID, st.booleans()), max_size=3))
def test_a_family_that_keeps_no_thinking_is_continued_as_the_template_of_qwq_does_it(
    forgetting: str, turns: list[tuple[str, str, bool]]
) -> None:
    chat = chat_format(forgetting, tools=True)
    messages = told(forgetting, tools=True)
    ours = chat.prompt(TASK, Problem("a", QUESTION))
    for thought, said, closed in turns:
        content = f"{thought}</think>\n\n{said}" if closed else thought + said
        content = content.removesuffix("\n")  # the template begins the line of a call itself
        messages += [called("print(6 * 7)\n", content), {"role": "tool", "content": "4\n2"}]
        turn = f"{content}\n{CALL}" if content else CALL
        ours = chat.next_prompt(ours, turn + chat.tool_result("4\n2"))
    assert ours == rendered("Qwen-QwQ-32B", messages, tools=True)


def test_a_lane_leaves_the_thinking_out_of_its_prompt_and_keeps_it_in_its_record(forgetting: str) -> None:
    turns = [f"Thought {n}.\n</think>\n\nSaid {n}.\n{CALL}" for n in (1, 2)]
    prompt = "P<think>\n"

    def reply(prompt: str, params: SamplingParams) -> str:
        return "42}" if params.forces_answer else [*turns, "Thought 3."][prompt.count("<tool_response>")]

    async def main(engine: ScriptedEngine) -> Sample:
        return await Lane(PROBLEM, prompt, 0, runtime(engine, config_with(sample__family=forgetting))).run()

    for engine in (ScriptedEngine(reply), EngineWithIds(reply)):
        sample = run_virtual(main(engine))
        chat = chat_format(forgetting, tools=True)
        result = chat.tool_result("42")
        shown = [passage.text for passage in chat.passages(chat.opening + sample.text) if passage.kind == "thinking"]
        assert shown == ["Thought 1.\n", "Thought 2.\n", "Thought 3.\n"]
        assert [turn.text for turn in sample.turns] == [*turns, "Thought 3.", "42}"]
        assert sample.answer == 42 and sample.text.count("Thought") == 3
        second = f"PSaid 1.\n{CALL}{result}"
        third = f"{second.removesuffix('<think>' + chr(10))}Said 2.\n{CALL}{result}"
        forced = f"{third}Thought 3.\n</think>\n\n**Final Answer**\n\n\\boxed{{"
        assert engine.prompts == [prompt, second, third, forced]


def test_goldens_of_the_function_call_dialect() -> None:
    lines = Path(__file__).with_name("goldens.jsonl").read_text(encoding="utf-8").splitlines()
    for family, tools, prefix, rest, result in map(json.loads, lines):
        chat = chat_format(family, tools=tools, max_rounds=6)
        assert (chat.prefix(TASK), chat.tool_result("4\n2\n")) == (prefix, result)
        assert chat.prompt(TASK, Problem("a", "How many?")) == prefix + rest
