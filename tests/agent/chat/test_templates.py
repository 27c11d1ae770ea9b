"""Prompts and turns are, to the character, what the models' genuine chat templates render for the same conversation."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.chat.dialects import chat_format
from agent.chat.family import load_family
from agent.chat.task import CompetitionTask, plain_question
from agent.editions import EDITIONS
from agent.types import Problem
from tests.support.texts.odd import CONTROL_TEXTS, ODD_TEXTS
from tests.support.tiers.cases import examples
from tools.benchmark.sets.tasks import CHOICE

TEMPLATES = Path(__file__).parents[3].parent / "shared" / "facts" / "chat_templates"
TASKS = [*map(CompetitionTask, EDITIONS.values()), CHOICE]
QUESTIONS = ["How many?", "Is $\\frac{1}{2} < x$?\n\n* one\n", "\u4e00 {{ x }} {% y %}", ""]
SENTENCES = st.text(st.characters(codec="utf-8", exclude_characters="<"), max_size=60)
BEGIN, END = "<\uff5cbegin\u2581of\u2581sentence\uff5c>", "<\uff5cend\u2581of\u2581sentence\uff5c>"
ASSISTANT = "<\uff5cAssistant\uff5c>"


@cache  # compiling takes far longer than rendering
def compiled(template: str) -> jinja2.Template:
    path = TEMPLATES / f"{template}.jinja"
    if not path.is_file():
        pytest.skip(f"the genuine templates are not there ({path})")

    def refuse(reason: str) -> None:
        raise ValueError(reason)

    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, autoescape=False)  # a prompt
    environment.globals["raise_exception"] = refuse
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)  # as transformers has it
    return environment.from_string(path.read_text(encoding="utf-8"))


def rendered(template: str, **values: Any) -> str:
    return compiled(template).render(**values)


def gpt_oss(messages: list[dict[str, Any]], *, tools: bool, prompt: bool = True) -> str:
    family = load_family("gpt-oss")
    values = {"builtin_tools": ["python"]} if tools else {}
    day = family.system.rpartition(" ")[2]
    return rendered(
        "openai-gpt-oss-120b",
        messages=messages,
        add_generation_prompt=prompt,
        reasoning_effort=family.reasoning_effort,
        strftime_now=lambda _: day,
        **values,
    )


def r1(messages: list[dict[str, Any]], *, prompt: bool = True) -> str:
    return rendered(
        "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", messages=messages, add_generation_prompt=prompt, bos_token=BEGIN
    )


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("tools", [True, False])
@pytest.mark.parametrize("task", TASKS)
def test_a_prompt_of_gpt_oss_is_its_templates(task: CompetitionTask, tools: bool, question: str) -> None:
    family = load_family("gpt-oss")
    told = task.instructions(family.tool_instructions if tools else family.instructions)
    messages = [{"role": "system", "content": told}, {"role": "user", "content": question}]
    prompt = chat_format("gpt-oss", tools=tools).prompt(task, Problem("a", question))
    assert prompt == gpt_oss(messages, tools=tools)


@pytest.mark.parametrize("question", [*ODD_TEXTS, *CONTROL_TEXTS])
@pytest.mark.parametrize("tools", [True, False])
def test_odd_questions_stand_in_prompts_of_gpt_oss_and_r1_as_in_their_templates_but_for_control_tokens(
    tools: bool, question: str
) -> None:
    """A control token in a question is broken, so that no problem can speak as another role: the one deviation."""
    task, plain = CompetitionTask(EDITIONS["aimo3"]), plain_question(question)
    assert (plain == question) == (question in ODD_TEXTS)
    for name in ("gpt-oss", "r1-distill-qwen"):
        family = load_family(name)
        told = task.instructions(family.tool_instructions if tools else family.instructions)
        if name == "gpt-oss":
            theirs = gpt_oss([{"role": "system", "content": told}, {"role": "user", "content": plain}], tools=tools)
        else:
            theirs = r1([{"role": "user", "content": f"{told}\n\n{plain}"}])
        assert chat_format(name, tools=tools).prompt(task, Problem("a", question)) == theirs


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_odd_turns_of_gpt_oss_and_r1_are_read_as_what_their_templates_were_given(text: str) -> None:
    user, harmony = {"role": "user", "content": "Why?"}, chat_format("gpt-oss", tools=True)
    answer = {"role": "assistant", "thinking": text, "content": text}
    turn = gpt_oss([user, answer], tools=True, prompt=False).removeprefix(gpt_oss([user], tools=True))
    reply = harmony.reply(turn.removesuffix("<|return|>"), thinking=True)
    assert (reply.thinking, reply.answer_text) == (text, text)
    said = r1([user, {"role": "assistant", "content": f"so</think>{text}"}], prompt=False).removesuffix(END)
    theirs = said.rpartition(ASSISTANT)[2]
    ours = chat_format("r1-distill-qwen", tools=True).reply(f"so</think>{text}", thinking=True).answer_text
    assert ours == theirs


@examples(20)
@given(SENTENCES, SENTENCES)
def test_a_turn_that_gpt_oss_was_trained_to_write_is_read_as_what_the_template_was_given(
    thinking: str, content: str
) -> None:
    chat, user = chat_format("gpt-oss", tools=True), {"role": "user", "content": "Why?"}
    before = gpt_oss([user], tools=True)
    answer = {"role": "assistant", "thinking": thinking, "content": content}
    turn = gpt_oss([user, answer], tools=True, prompt=False).removeprefix(before)
    ended, mark, rest = turn.partition("<|return|>")
    assert mark in chat.stop_strings and not rest
    reply = chat.reply(ended, thinking=True)
    assert (reply.thinking, reply.answer_text) == (thinking, content)


def test_calls_and_results_of_gpt_oss_stand_between_the_marks_that_its_template_puts_there() -> None:
    """The template renders calls of functions alone; those of the built-in tool differ in their names and channel."""
    chat = chat_format("gpt-oss", tools=True)
    call = {
        "role": "assistant",
        "thinking": "Let me see.",
        "tool_calls": [{"name": "python", "arguments": {"code": "1"}}],
    }
    user = {"role": "user", "content": "Why?"}
    before = gpt_oss([user], tools=True)
    whole = gpt_oss([user, call, {"role": "tool", "content": "42"}], tools=True).removeprefix(before)
    scanner = chat.call_scanner()
    found = scanner.feed(whole)
    assert found is not None and found.code == "1"
    result = whole[found.end :].replace("functions.python", "python").replace("commentary", "analysis")
    assert chat.tool_result("42") == result.replace('"42"', "42")


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("tools", [True, False])
@pytest.mark.parametrize("task", TASKS)
def test_a_prompt_of_r1_is_its_templates(task: CompetitionTask, tools: bool, question: str) -> None:
    family = load_family("r1-distill-qwen")
    told = task.instructions(family.tool_instructions if tools else family.instructions)
    prompt = chat_format("r1-distill-qwen", tools=tools).prompt(task, Problem("a", question))
    assert prompt == r1([{"role": "user", "content": f"{told}\n\n{question}"}])


def test_worked_examples_are_earlier_turns_of_r1(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    own = 'dialect = "r1-fenced"\ninstructions = "Think."\ntool_instructions = "Compute."\nopening = "<think>\\n"\n'
    path.write_text(f'{own}examples = [{{question = "One?", code = "print(1)", output = "1"}}]', encoding="utf-8")
    task = CompetitionTask(EDITIONS["aimo3"])
    worked = "```python\nprint(1)\n```\n```output\n1\n```\nSo the answer is \\boxed{1}."
    messages = [
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": worked},
        {"role": "user", "content": f"{task.instructions('Compute.')}\n\nTwo?"},
    ]
    assert chat_format(str(path), tools=True).prompt(task, Problem("a", "Two?")) == r1(messages)


def test_the_end_of_a_turn_of_r1_is_its_templates() -> None:
    turn = r1([{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}], prompt=False)
    assert turn.endswith(f"So.{END}") and END in chat_format("r1-distill-qwen", tools=True).stop_strings
