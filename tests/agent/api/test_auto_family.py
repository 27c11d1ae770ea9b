"""With `sample.family = "auto"` the family is that of the served model, by what there is to know of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent import Agent, Config, load_config
from agent.chat.family import AUTO, load_family
from agent.config import override_config
from agent.engine.configured import settle_family
from agent.errors import ConfigError, ModelError
from agent.journal.journal import read_run
from tests.agent.chat.test_recognize import GPT_OSS, QWEN, QWEN3, QWQ, R1
from tests.support.agents import PROBLEMS, number_in
from tests.support.doubles import ScriptedEngine, ScriptedSandbox, config_with
from tests.support.servers.scripted_server import ScriptedServer, serving


def reply(body: dict[str, Any]) -> str:
    return number_in(body["prompt"])


def auto(server: ScriptedServer, **keys: object) -> Config:
    named = {"engine.kind": "http", "engine.url": server.url, "engine.model": "", "sample.family": AUTO}
    return load_config("cpu", named | {"sample.count": 2, "stopping.rule": "wait-for-all"} | keys)


async def family_behind(server: ScriptedServer, **keys: object) -> str:
    with serving(server):
        async with Agent.open(auto(server, **keys)) as opened:
            return opened.config.sample.family


async def test_llama_cpps_server_tells_the_template(tmp_path: Path) -> None:
    server = ScriptedServer(reply, told={"/props": {"chat_template": QWQ, "model_path": "/models/m.gguf"}})
    said: list[str] = []
    with serving(server):
        async with Agent.open(auto(server), on_engine_event=said.append) as opened:
            await opened.solve_all(PROBLEMS, run_dir=tmp_path / "run")
            assert opened.config.sample.family == "qwq-calls"
    assert said == ["sample.family is qwq-calls, by the model's chat template and name"]
    assert all(f"assistant\n{load_family('qwq-calls').opening}" in body["prompt"] for body in server.bodies)
    assert 'family = "qwq-calls"' in (tmp_path / "run" / "config.toml").read_text(encoding="utf-8")
    assert read_run(tmp_path / "run").config.sample.family == "qwq-calls"


async def test_a_run_is_resumed_with_the_family_that_was_found(tmp_path: Path) -> None:
    server = ScriptedServer(reply, told={"/props": {"chat_template": QWQ}})
    with serving(server):
        async with Agent.open(auto(server)) as opened:
            first = await opened.solve_all(PROBLEMS[:1], run_dir=tmp_path / "run")
        async with Agent.open(auto(server)) as opened:
            again = await opened.solve_all(PROBLEMS[:1], run_dir=tmp_path / "run", resume=True)
    assert [each.answer for each in again] == [each.answer for each in first] == [1]
    server.told["/props"] = {"chat_template": R1}
    with serving(server):
        async with Agent.open(str(tmp_path / "run" / "config.toml"), {"engine.url": server.url}) as opened:
            assert opened.config.sample.family == "qwq-calls"


@pytest.mark.parametrize(
    ("card", "told", "family"),
    [
        ({"root": "/models/Qwen2.5-Coder-7B-Instruct"}, {}, "qwen-coder"),
        ({"root": "Qwen/QwQ-32B-AWQ"}, {}, "qwq-calls"),
        ({}, {"/get_model_info": {"model_path": "openai/gpt-oss-20b"}}, "gpt-oss"),
        ({}, {"/props": {"chat_template": QWEN, "model_path": "/m/qwen2.5-coder.gguf"}}, "qwen-coder"),
        ({"root": 7}, {"/props": {"chat_template": 3}, "/get_model_info": ["x"]}, None),
        ({}, {}, None),
        ({}, {"/props": {"chat_template": "{{ messages }}"}}, None),
    ],
)
async def test_any_server_is_asked_for_what_it_can_tell(
    card: dict[str, Any], told: dict[str, Any], family: str | None
) -> None:
    server = ScriptedServer(reply, card=card, told=told)
    if family is not None:
        assert await family_behind(server) == family
        return
    with pytest.raises(ConfigError, match=r"the model's chat template .*: set sample\.family to one of"):
        await family_behind(server)
    assert server.bodies == []


async def test_the_name_of_the_model_is_the_last_help() -> None:
    server = ScriptedServer(reply)
    assert await family_behind(server, **{"engine.model": "qwen/qwq-32b:free"}) == "qwq-calls"


async def test_a_server_with_a_key_is_asked_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWN_KEY", "secret-of-mine")
    server = ScriptedServer(reply, key="secret-of-mine", told={"/props": {"chat_template": QWEN3}})
    assert await family_behind(server, **{"engine.api_key_env": "OWN_KEY"}) == "qwen3"


async def test_a_path_that_a_server_tells_is_looked_at_where_it_is_here_too(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": R1}), encoding="utf-8")
    assert await family_behind(ScriptedServer(reply, card={"root": str(tmp_path)})) == "r1-distill-qwen"
    told = {"/props": {"chat_template": GPT_OSS}}
    assert await family_behind(ScriptedServer(reply, card={"root": str(tmp_path)}, told=told)) == "gpt-oss"


def test_of_a_model_of_ours_the_directory_or_the_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text(QWQ, encoding="utf-8")
    served = load_config("vllm", {"engine.model": str(tmp_path), "sample.family": AUTO})
    assert settle_family(served, None).sample.family == "qwq-calls"
    named = override_config(served, {"engine.model": "nvidia/OpenMath-Nemotron-32B"})
    assert settle_family(named, None).sample.family == "openmath-nemotron"
    embedded = load_config("cpu", {"sample.family": AUTO})
    assert settle_family(embedded, lambda name: tmp_path).sample.family == "qwq-calls"


@pytest.mark.parametrize("model", ["", "no/such-model"])
def test_a_model_of_which_nothing_is_known_is_refused_before_anything_starts(model: str) -> None:
    with pytest.raises(ConfigError, match=r"chat template is not known, and its name.*: set sample\.family to one of"):
        Agent.open(load_config("vllm", {"engine.model": model, "sample.family": AUTO, "vllm.gpu": "cpu"}))


def test_a_broken_file_of_the_model_is_a_one_line_message(tmp_path: Path) -> None:
    (tmp_path / "tokenizer_config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match=r"tokenizer_config\.json cannot be read \(.*\): fetch the model again"):
        Agent.open("vllm", {"engine.model": str(tmp_path), "sample.family": AUTO})


def test_a_family_that_is_named_is_not_looked_for(tmp_path: Path) -> None:
    config = load_config("vllm", {"engine.model": str(tmp_path), "sample.family": "gpt-oss"})
    assert settle_family(config, None) is config


def test_what_the_family_decides_is_left_open_until_it_is_found(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[sample]\nfamily = "auto"\ncount = 3\n', encoding="utf-8")
    config = override_config(load_config(str(own)), {"sample.max_tokens": 77})
    found = override_config(config, {"sample.family": "gpt-oss"})
    assert (found.sample.max_rounds, found.sample.count, found.sample.max_tokens) == (96, 3, 77)
    capped = override_config(override_config(config, {"sample.max_rounds": 5}), {"sample.family": "gpt-oss"})
    assert capped.sample.max_rounds == 5
    assert override_config(found, {"sample.family": "qwq"}).sample.max_rounds == 96


async def test_an_engine_of_ones_own_needs_a_family_that_is_named() -> None:
    agent = Agent(config_with(sample__family=AUTO), ScriptedEngine(lambda prompt, params: ""), ScriptedSandbox())
    with pytest.raises(ConfigError, match="no family 'auto'"):
        await agent.start()
    await agent.close()
