"""A model's family is told by its chat template, and by its name where that leaves it open."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.chat.family import Family, family_names, load_family
from agent.chat.recognize import recognized_family
from agent.errors import ConfigError
from tests.agent.chat.test_templates import TEMPLATES

CALL = """{{- '<tool_call>\\n{"name": "' }}{{- call.name }}"""
# Made up, each with what tells it from the others.
QWEN = (
    "{{- '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\\n' }}"
    + CALL
)
QWQ = "{{- '<|im_start|>' + message.role }}" + CALL + "{{- '<|im_start|>assistant\\n<think>\\n' }}"
QWEN3_THINKING = "{%- set ns = namespace(last_query_index=0) %}" + QWQ
QWEN3 = CALL + "{{- '<|im_start|>assistant\\n' }}{%- if enable_thinking is false %}{{- '<think>\\n\\n</think>' }}"
R1 = "{{'<\uff5cUser\uff5c>' + content.split('</think>')[-1]}}{{'<\uff5cAssistant\uff5c><think>\\n'}}"
GPT_OSS = '{{- "<|start|>system<|message|>" }}{{- "<|start|>assistant<|channel|>analysis<|message|>" }}'
PREVIEW = (
    "<|im_start|>system\nYou are a helpful and harmless assistant. You are Qwen developed by Alibaba. Think.<|im_end|>"
)
SHARE_QWEN = r"fits (\S+ or )*openmath-nemotron or (\S+ or )*qwen-coder( or \S+)*, but models of other kinds too"
XML = QWQ + "<function=example_function_name>"


@pytest.mark.parametrize(
    ("template", "family"),
    [
        (QWQ, "qwq-calls"),
        (QWEN3_THINKING, "qwen3-thinking"),
        (QWEN3, "qwen3"),
        (R1, "r1-distill-qwen"),
        (R1.replace("<think>\\n'", "'"), "r1-distill-qwen"),
        (GPT_OSS, "gpt-oss"),
        (PREVIEW, "qwq-preview"),
    ],
)
def test_a_template_tells_the_family_whatever_the_model_is_called(template: str, family: str) -> None:
    for name in ("", "model", "/kaggle/input/openmath-nemotron-32b/1", "qwen2.5-coder"):
        assert recognized_family(template, name) == family
        assert recognized_family(template.replace("\\n", "\n"), name) == family


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("Qwen2.5 Coder 0.5B Instruct AWQ", "qwen-coder"),
        ("/models/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf", "qwen-coder"),
        ("/kaggle/input/openmath_nemotron-14b-kaggle/transformers/default/1", "openmath-nemotron"),
    ],
)
def test_the_name_decides_among_families_with_the_same_template(name: str, family: str) -> None:
    assert recognized_family(QWEN, name) == family


@pytest.mark.parametrize("name", ["", "Qwen/Qwen2.5-7B-Instruct", "/home/coder/models/qwen2.5-7b", "Qwen2.5-Math-7B"])
def test_a_template_of_several_models_is_no_familys_without_a_name(name: str) -> None:
    with pytest.raises(ConfigError, match=SHARE_QWEN):
        recognized_family(QWEN, name)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("Qwen/QwQ-32B", "qwq-calls"),
        ("KirillR/QwQ-32B-Preview-AWQ", "qwq-preview"),
        ("Qwen/Qwen3-30B-A3B-Thinking-2507-FP8", "qwen3-thinking"),
        ("qwen3-14b", "qwen3"),
        ("gpt-oss:20b", "gpt-oss"),
        ("openai/gpt-oss-120b", "gpt-oss"),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-32B", "r1-distill-qwen"),
        ("deepseek-ai/DeepSeek-R1-0528-Qwen3-8B", "r1-distill-qwen"),
        ("nvidia/OpenMath-Nemotron-32B", "openmath-nemotron"),
    ],
)
def test_the_name_tells_the_family_where_no_template_is_known(name: str, family: str) -> None:
    assert recognized_family("", name) == recognized_family(" \n", name) == family


@pytest.mark.parametrize(
    "name",
    [
        "",
        "model",
        "Qwen3-4B-Instruct-2507",
        "Qwen3-Coder-30B-A3B",
        "Qwen3.5-27B",
        "Qwen2.5-32B-Instruct",
        "gpt-4o",
        "\u4e00",
    ],
)
def test_a_name_that_is_no_familys_says_nothing(name: str) -> None:
    with pytest.raises(
        ConfigError, match=r"chat template is not known, and its name.* is no family's: set sample\.family to"
    ):
        recognized_family("", name)


def test_what_was_found_and_what_to_set_are_said_in_one_line() -> None:
    template = "{{ '<SPECIAL_10>System\\n' }}{{ '<SPECIAL_11>User' }}{{ '<SPECIAL_10>' }}\x1b[2J<|\u4e00|>"
    with pytest.raises(ConfigError) as raised:
        recognized_family(template, "Nemotron\n-Nano")
    said = str(raised.value)
    assert said.startswith("the model's chat template, with '<SPECIAL_10>', '<SPECIAL_11>', '<|\\u4e00|>', is no known")
    assert said.endswith(f"set sample.family to one of {', '.join(family_names())} or the path of a TOML file")
    assert said.isprintable() and said.isascii()


@pytest.mark.parametrize("template", [XML, "{{ messages }}", "<|im_start|>{{ '<think>' }}", "\0", "garbage" * 500_000])
def test_a_template_of_no_family_is_none(template: str) -> None:
    with pytest.raises(ConfigError, match=r"is no known family's: set sample\.family") as raised:
        recognized_family(template, "QwQ-32B")
    assert len(str(raised.value)) < 600


@given(st.text(max_size=300), st.text(max_size=60))
def test_any_text_is_a_bundled_familys_template_or_a_one_line_message(template: str, name: str) -> None:
    try:
        assert recognized_family(template, name) in family_names()
    except ConfigError as error:
        assert str(error).isprintable()


@pytest.mark.parametrize(
    ("file", "name", "family"),
    [
        ("Qwen-QwQ-32B", "model", "qwq-calls"),
        ("Qwen-Qwen3-0.6B", "model", "qwen3"),
        ("deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "model", "r1-distill-qwen"),
        ("openai-gpt-oss-120b", "model", "gpt-oss"),
        ("Qwen-Qwen2.5-7B-Instruct", "Qwen2.5-Coder-7B-Instruct", "qwen-coder"),
        ("Qwen-Qwen2.5-7B-Instruct", "Qwen2.5-7B-Instruct", None),
        ("NVIDIA-Nemotron-Nano-v2", "NVIDIA-Nemotron-Nano-9B-v2", None),
    ],
)
def test_genuine_templates_tell_their_families(file: str, name: str, family: str | None) -> None:
    path = TEMPLATES / f"{file}.jinja"
    if not path.is_file():
        pytest.skip(f"the genuine templates are not there ({path})")
    template = path.read_text(encoding="utf-8")
    if family is not None:
        assert recognized_family(template, name) == family
        return
    with pytest.raises(ConfigError, match=r"chat template.*: set sample\.family"):
        recognized_family(template, name)


def test_no_two_families_share_a_name_and_a_shared_template_has_one() -> None:
    marks = [load_family(name).template for name in family_names()]
    names = [name for each in marks for name in each.names]
    assert len(set(names)) == len(names)
    assert all(each.names for each in marks if each.shared or each.has)


def test_a_family_without_marks_is_never_picked() -> None:
    unmarked = [
        name for name in family_names() if load_family(name).template == Family.model_fields["template"].default
    ]
    assert "qwq" in unmarked
    for template in (QWQ, QWEN, QWEN3, GPT_OSS, ""):
        assert recognized_family(template, "qwq gpt-oss qwen2.5-coder qwen3-14b") not in unmarked
