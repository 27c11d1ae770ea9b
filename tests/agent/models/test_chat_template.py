"""The chat template of a model is read from its directory or GGUF file, and broken files are a one-line message."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import AgentError, ConfigError, ModelError
from agent.models.chat_template import family_of_model, names_of_model, read_chat_template
from agent.models.gguf import gguf_texts
from tests.agent.chat.test_recognize import GPT_OSS, QWEN, QWQ, SHARE_QWEN
from tests.support.tiers.cases import examples


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def entry(key: str, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def gguf(*entries: bytes, version: int = 3, count: int | None = None) -> bytes:
    pairs = len(entries) if count is None else count
    return b"GGUF" + struct.pack("<IQQ", version, 0, pairs) + b"".join(entries)


TOKENS = entry("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 3) + text("a") + text("") + text("\u4e00"))
SCORES = entry("tokenizer.ggml.scores", 9, struct.pack("<IQ", 6, 2) + bytes(8))
NUMBERS = [
    entry(f"number.{kind}", kind, bytes(size)) for kind, size in ((0, 1), (3, 2), (4, 4), (7, 1), (10, 8), (12, 8))
]
NAME = entry("general.name", 8, text("Qwen2.5 Coder 0.5B"))
TEMPLATE = entry("tokenizer.chat_template", 8, text(QWEN))
WHOLE = gguf(NAME, *NUMBERS, TOKENS, SCORES, TEMPLATE)


def table(folder: Path, name: str, value: Any) -> None:
    (folder / name).write_text(json.dumps(value), encoding="utf-8")


@pytest.mark.parametrize("version", [2, 3])
def test_a_gguf_files_template_stands_behind_its_vocabulary(tmp_path: Path, version: int) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf(NAME, *NUMBERS, TOKENS, SCORES, TEMPLATE, version=version) + b"weights")
    assert read_chat_template(path) == QWEN
    assert names_of_model(path) == f"{path} Qwen2.5 Coder 0.5B"
    assert family_of_model(path) == "qwen-coder"


def test_a_gguf_file_may_have_no_template(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf(NAME, TOKENS))
    assert read_chat_template(path) is None
    path.write_bytes(gguf(entry("tokenizer.chat_template", 4, bytes(4)), TOKENS))
    assert read_chat_template(path) is None


@given(st.integers(0, len(WHOLE) - 1))
def test_a_gguf_file_that_is_cut_is_a_one_line_message(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    path = tmp_path_factory.mktemp("cut") / "model.gguf"
    path.write_bytes(WHOLE[:length])
    with pytest.raises(ModelError, match=r"model\.gguf .*: fetch the model again") as raised:
        read_chat_template(path)
    assert str(raised.value).isprintable()


@examples(200)
@given(st.integers(4, len(WHOLE) - 1), st.binary(min_size=1, max_size=9))
def test_a_gguf_file_with_any_other_bytes_in_it_is_read_or_a_one_line_message(
    tmp_path_factory: pytest.TempPathFactory, place: int, other: bytes
) -> None:
    path = tmp_path_factory.mktemp("other") / "model.gguf"
    path.write_bytes(WHOLE[:place] + other + WHOLE[place + len(other) :])
    try:
        family_of_model(path)
    except AgentError as error:
        assert str(error).isprintable()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"PK\3\4" + bytes(40), "it does not begin as one"),
        (gguf(NAME, version=1), "its version is 1"),
        (gguf(entry("x", 77, b"")), "a value in it has the type 77"),
        (gguf(entry("x", 9, struct.pack("<IQ", 9, 1))), "a value in it has the type 9"),
        (gguf(entry("x", 9, struct.pack("<IQ", 5, 1 << 60))), "a value in it has the type 5|cut"),
        (gguf(entry("x", 9, struct.pack("<IQ", 8, 1 << 60))), "ends too early"),
        (gguf(count=1 << 60), "ends too early"),
    ],
)
def test_what_is_no_gguf_file_says_why(tmp_path: Path, data: bytes, why: str) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    with pytest.raises(ModelError, match=why):
        gguf_texts(path, {"general.name"})


def test_of_a_directory_the_templates_own_file_comes_first(tmp_path: Path) -> None:
    assert read_chat_template(tmp_path) is None
    table(tmp_path, "chat_template.json", {"chat_template": "third"})
    assert read_chat_template(tmp_path) == "third"
    table(tmp_path, "tokenizer_config.json", {"chat_template": "second"})
    assert read_chat_template(tmp_path) == "second"
    (tmp_path / "chat_template.jinja").write_text("\ufefffirst", encoding="utf-8")
    assert read_chat_template(tmp_path) == "first"
    (tmp_path / "chat_template.jinja").write_text("", encoding="utf-8")
    assert read_chat_template(tmp_path) == "second"


@pytest.mark.parametrize("value", [{}, {"chat_template": None}, {"chat_template": ""}])
def test_a_tokenizer_may_have_no_template(tmp_path: Path, value: Any) -> None:
    table(tmp_path, "tokenizer_config.json", value)
    assert read_chat_template(tmp_path) is None


def test_of_templates_with_names_the_default_one_is_read(tmp_path: Path) -> None:
    tools, plain = {"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}
    for value, read in (([tools, plain], "d"), ([tools], "t"), ([tools, {"name": 1}, 3], "t"), (tools, "t")):
        table(tmp_path, "tokenizer_config.json", {"chat_template": value})
        assert read_chat_template(tmp_path) == read


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]",
        b"7",
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"chat_template": 7}',
        b'{"chat_template": []}',
        b'{"chat_template": [{"name": "default", "template": 3}]}',
    ],
)
def test_a_broken_file_of_a_directory_is_a_one_line_message(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "tokenizer_config.json").write_bytes(data)
    with pytest.raises(
        ModelError, match=r"tokenizer_config\.json cannot be read \(.*\): fetch the model again"
    ) as raised:
        read_chat_template(tmp_path)
    assert "\n" not in str(raised.value)


def test_a_folder_in_a_files_place_and_names_that_no_file_can_have_are_one_line_messages(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").mkdir()
    with pytest.raises(ModelError, match=r"chat_template\.jinja cannot be read \(Is a directory\)"):
        read_chat_template(tmp_path)
    for name in ("a\0b", "x" * 5_000):
        with pytest.raises(ModelError, match="cannot be read"):
            read_chat_template(Path(name))


def test_a_model_that_is_not_there_is_told_by_its_name() -> None:
    assert read_chat_template(Path("Qwen/QwQ-32B")) is None
    assert family_of_model(Path("Qwen/QwQ-32B")) == "qwq-calls"
    with pytest.raises(ConfigError, match="not known, and its name 'no/such' is no family's"):
        family_of_model(Path("no/such"))


def test_a_directorys_own_files_may_say_what_the_model_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "1"
    folder.mkdir()
    (folder / "chat_template.jinja").write_text(QWEN, encoding="utf-8")
    with pytest.raises(ConfigError, match=SHARE_QWEN):
        family_of_model(folder)
    table(
        folder, "config.json", {"_name_or_path": "nvidia/OpenMath-Nemotron-14B", "architectures": ["Qwen2ForCausalLM"]}
    )
    assert family_of_model(folder) == "openmath-nemotron"
    table(folder, "config.json", {"_name_or_path": 7})
    with pytest.raises(ConfigError, match="does not decide"):
        family_of_model(folder)


@pytest.mark.parametrize(("template", "family"), [(QWQ, "qwq-calls"), (GPT_OSS, "gpt-oss")])
def test_a_directory_may_have_any_name(tmp_path: Path, template: str, family: str) -> None:
    (tmp_path / "chat_template.jinja").write_text(template, encoding="utf-8")
    assert family_of_model(tmp_path) == family
