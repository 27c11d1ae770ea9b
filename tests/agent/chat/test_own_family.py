"""What agent/chat/README.md says of families is so, and the one that it shows can be used as it stands."""

from __future__ import annotations

import contextlib
import io
import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from agent import Agent
from agent.chat.dialects import DIALECTS, chat_format
from agent.chat.family import AUTO, Family, TemplateMarks, family_names, load_family
from agent.chat.recognize import recognized_family
from agent.chat.task import CompetitionTask
from agent.config import load_config
from agent.editions import EDITIONS
from agent.engine.base import SamplingParams
from agent.engine.configured import settle_family
from agent.errors import ConfigError
from tests.agent.chat.test_recognize import QWEN, QWQ
from tests.layout.source import ROOT
from tests.layout.test_facts_in_documents import rows
from tests.support.agents import scripted
from tests.support.doubles import ScriptedEngine, ScriptedSandbox
from tests.support.virtual_time import run_virtual

README = ROOT / "agent" / "chat" / "README.md"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The file that the README shows, under the name that it gives it."""
    text = README.read_text(encoding="utf-8")
    (shown,) = re.findall(r"^````toml\n(.*?)^````$", text, re.DOTALL | re.MULTILINE)
    (name,) = re.findall(r"Save this as `([^`]+)`", text)
    path = tmp_path / str(name)
    path.write_text(shown, encoding="utf-8")
    return path


def test_each_family_is_listed_with_its_dialect() -> None:
    listed = {row["family"].strip("`"): row["dialect"].strip("`") for row in rows(README, "family")}
    assert listed == {name: load_family(name).dialect for name in family_names()}


def test_each_dialect_is_described() -> None:
    section = README.read_text(encoding="utf-8").partition("\n## Dialects\n")[2]
    assert re.findall(r"^\| `([\w-]+)` \|", section, re.MULTILINE) == ["dialect", *DIALECTS]


@pytest.mark.parametrize(("model", "tables"), [(Family, 4), (TemplateMarks, 0)])
def test_each_key_is_described_with_its_default(model: type[BaseModel], tables: int) -> None:
    described = {row["key"].strip("`[]"): row["default"].strip("`") for row in rows(README, "key")}
    fields = {name: field for name, field in model.model_fields.items() if name in described}
    assert fields.keys() == model.model_fields.keys()
    defaults = {name: described[name] for name in fields if described[name]}
    assert len(fields) - len(defaults) == tables + sum(field.is_required() for field in fields.values())
    for name, default in defaults.items():
        if name == "tool_opening":
            assert default == "opening" and model.model_fields[name].default is None
        else:
            shown = tomllib.loads(f"value = {default}")["value"]
            assert (tuple(shown) if isinstance(shown, list) else shown) == model.model_fields[name].default, name


def test_the_family_that_is_shown_solves(own: Path) -> None:
    def reply(prompt: str, params: SamplingParams) -> str:
        return "So it is \\boxed{7}." if "```output\n7\n```" in prompt else "print(7)\n```\nsaid too much"

    engine = ScriptedEngine(reply)

    async def main() -> int | None:
        async with scripted(engine, sandbox=ScriptedSandbox("7"), sample__family=str(own)) as agent:
            return (await agent.solve("What is 7^77 mod 100?")).answer

    assert run_virtual(main()) == 7
    family = load_family(str(own))
    assert family.tool_instructions in engine.prompts[0] and engine.prompts[0].endswith("assistant\n```python\n")
    assert all(example.code in engine.prompts[0] for example in family.examples)


def test_the_examples_that_are_shown_print_what_they_say(own: Path) -> None:
    for example in load_family(str(own)).examples:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(example.code, {})
        assert printed.getvalue().strip() == example.output


def test_what_a_family_of_ones_own_leaves_to_the_profile_is_the_profiles(own: Path) -> None:
    config = load_config("qwq", {"sample.family": str(own)})
    assert config.sampling.model_dump().items() >= {"temperature": 0.7, "top_p": 0.8, "top_k": 20}.items()
    assert config.sample.max_rounds == load_config("qwq").sample.max_rounds
    assert load_config("cpu", {"sample.family": str(own)}).sampling == load_config("cpu").sampling


def test_a_listed_family_of_ones_own_is_found_before_the_bundled_ones(own: Path, tmp_path: Path) -> None:
    model = tmp_path / "Qwen2.5-Coder-7B"
    model.mkdir()
    (model / "chat_template.jinja").write_text(QWEN, encoding="utf-8")
    keys = {"engine.model": str(model), "sample.family": AUTO}
    assert settle_family(load_config("vllm", keys), None).sample.family == "qwen-coder"
    listed = load_config("vllm", keys | {"sample.own_families": [str(own)]})
    assert listed.sample.own_families == (str(own),)
    assert settle_family(listed, None).sample.family == str(own)
    assert recognized_family(QWQ, "model", [str(own)]) == "qwq-calls"
    assert recognized_family("", "qwen2.5-coder", [str(own)]) == str(own)
    with pytest.raises(ConfigError, match=rf"fits {own} or .*, but .* one of {own}, chat"):
        recognized_family(QWEN, "model", [str(own)])


def test_what_is_listed_must_be_families() -> None:
    with pytest.raises(ConfigError, match=r"sample\.own_families\.0: no family 'none\.toml': give one of"):
        load_config("cpu", {"sample.own_families": ["none.toml"]})


async def test_the_family_that_is_shown_solves_on_a_real_server(own: Path, tiny_model: Path, tmp_path: Path) -> None:
    keys = {"engine.model": str(tiny_model), "sample.count": 2, "sample.max_tokens": 48, "engine.context_tokens": 1024}
    async with Agent.open("cpu", keys | {"sample.family": str(own)}) as agent:
        solution = await agent.solve("What is 7^77 mod 100?", run_dir=tmp_path / "run")
    assert solution.samples_finished == 2 and not solution.failure
    journal = (tmp_path / "run" / "journal.jsonl").read_text(encoding="utf-8")
    assert "Solve the problem by a short Python program." in journal


def test_instructions_before_the_question_leave_the_tools_in_the_system_turn(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    own = (
        'dialect = "chatml-calls"\ninstructions = "Think."\ntool_instructions = "Compute."\ninstructions_in = "user"\n'
    )
    path.write_text(own, encoding="utf-8")
    prefix = chat_format(str(path), tools=True).prefix(CompetitionTask(EDITIONS["aimo3"]))
    assert prefix.startswith("<|im_start|>system\n\n\n# Tools\n") and "user\nCompute. The answer is" in prefix
