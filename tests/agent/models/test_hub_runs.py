"""A model of the Hub in a configuration: what an engine is given, and what a run records."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import Agent
from agent.config import EngineConfig, load_config
from agent.engine.configured import open_engine, settle_family, settle_hub_model
from agent.errors import ModelError
from agent.journal.run_directory import hold_run
from agent.types import Problem
from tests.support.servers.hub_stand_in import COMMIT, HubStandIn, serving_hub

CONTENT = b"GGUF and so on"
FILE = "hf:someone/tiny-GGUF/tiny.gguf"
EXACT = f"{FILE}@{hashlib.sha256(CONTENT).hexdigest()}"
DIRECTORY = "hf:someone/Tiny-1B"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStandIn]:
    with serving_hub(monkeypatch, tmp_path) as serving:
        serving.repositories["someone/tiny-GGUF"] = {"tiny.gguf": CONTENT}
        serving.repositories["someone/Tiny-1B"] = {"config.json": b"{}", "model.safetensors": b"x"}
        yield serving


async def test_a_run_records_the_digest_of_the_file_that_it_got(hub: HubStandIn, tmp_path: Path) -> None:
    agent = Agent.open("cpu", {"engine.model": FILE})
    assert agent.config.engine.model == EXACT
    held = hold_run(tmp_path / "run", [Problem("a", "What?")], resume=False)
    with held as directory, agent.begin(directory=directory):
        pass
    await agent.close()
    hub.asked.clear()
    again = Agent.open(str(tmp_path / "run" / "config.toml"))
    assert again.config.engine.model == EXACT
    assert hub.asked == []
    await again.close()


async def test_a_file_that_has_changed_on_the_hub_is_not_taken_for_that_of_the_run(hub: HubStandIn) -> None:
    hub.repositories["someone/tiny-GGUF"]["tiny.gguf"] = b"GGUF and other things"
    with pytest.raises(ModelError, match="is not what the Hub has now"):
        Agent.open("cpu", {"engine.model": EXACT})


def test_vllm_is_given_the_directory_and_the_run_the_commit(
    hub: HubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[EngineConfig] = []
    monkeypatch.setattr("agent.engine.configured.find_gpus", lambda: ())
    monkeypatch.setattr("agent.engine.configured.VllmEngine", lambda engine, *_, **__: given.append(engine))
    config = settle_hub_model(load_config("vllm-cpu", {"engine.model": DIRECTORY}))
    assert config.engine.model == f"{DIRECTORY}@{COMMIT}"
    open_engine(config, None, tmp_path / "log", lambda text: None)
    assert (Path(given[0].model) / "model.safetensors").read_bytes() == b"x"


def test_the_name_of_the_repository_tells_the_family(hub: HubStandIn) -> None:
    hub.repositories["Qwen/QwQ-32B"] = hub.repositories.pop("someone/Tiny-1B")
    config = load_config("vllm-cpu", {"engine.model": "hf:Qwen/QwQ-32B", "sample.family": "auto"})
    assert settle_family(settle_hub_model(config), None).sample.family.startswith("qwq")


def test_a_server_at_a_url_is_asked_for_the_name_as_it_is(hub: HubStandIn) -> None:
    config = load_config("cpu", {"engine.kind": "http", "engine.url": "http://a:1", "engine.model": DIRECTORY})
    assert settle_hub_model(config) is config
    assert hub.asked == []


@pytest.mark.parametrize("kind", ["embedded", "vllm"])
def test_a_name_that_is_none_is_refused(kind: str) -> None:
    with pytest.raises(ModelError, match="is no name of a model on the Hugging Face Hub"):
        settle_hub_model(load_config("cpu", {"engine.kind": kind, "engine.model": "hf:x"}))


@pytest.mark.parametrize("name", ["/no/such/model", "./nothing", "../nothing/here"])
def test_a_path_at_which_there_is_nothing_is_refused_before_a_server_is_started(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"there is no model at {name}: give a directory that is there"):
        open_engine(load_config("vllm-cpu", {"engine.model": name}), None, tmp_path / "log", lambda text: None)
