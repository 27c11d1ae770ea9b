"""The public way in: agents that are opened, solve, and close what they opened, whatever happens."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import agent
from agent import Agent, AgentError, Problem, load_config
from agent.errors import ConfigError, EngineError, InputError, ModelError, RequestRefusedError
from agent.events import Event, SampleEnded
from agent.journal.journal import read_run
from agent.journal.run_directory import ENGINE_LOG
from tests.support.agents import PROBLEMS, config_for, number_in, own_number, scripted
from tests.support.doubles import ScriptedEngine, ScriptedSandbox
from tests.support.servers.scripted_server import ScriptedServer, serving
from tests.support.virtual_time import run_virtual

ROOT = Path(__file__).parents[3]


class ClosingEngine(ScriptedEngine):
    """Counts how often it is closed."""

    closed = 0

    async def close(self) -> None:
        self.closed += 1


class ClosingSandbox(ScriptedSandbox):
    """Counts how often it is closed, and may fail at it."""

    closed = 0
    fails = False

    async def close(self) -> None:
        self.closed += 1
        if self.fails:
            raise OSError("no sandbox closes like that")


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serving(ScriptedServer(lambda body: number_in(body["prompt"]))) as running:
        yield running


@pytest.mark.process
def test_import_agent_loads_no_module_but_itself() -> None:
    """The sandbox's bare Python imports the package, too."""
    code = "import sys; before = set(sys.modules); import agent; dir(agent); print(*(set(sys.modules) - before))"
    result = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert result.stdout.split() == ["agent"]


@pytest.mark.parametrize("name", agent.__all__)
def test_public_names_are_listed_and_come_from_where_they_are_defined(name: str) -> None:
    assert name in dir(agent)
    found = getattr(agent, name)
    assert found is getattr(sys.modules[found.__module__], name)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'agent' has no attribute 'Agnet'"):
        agent.Agnet  # noqa: B018
    with pytest.raises(ImportError):
        from agent import Agnet  # noqa: F401


async def test_one_problem_over_http(server: ScriptedServer) -> None:
    async with Agent.open(config_for(server)) as opened:
        assert opened.config.engine.model == "scripted"
        solution = await opened.solve("Problem 7?")
        assert (solution.problem_id, solution.answer) == ("problem", 7)
        assert (await opened.solve(Problem("own", "Problem 8?"))).problem_id == "own"


def test_nothing_is_written_without_a_run_directory(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    Agent.run(PROBLEMS, config_for(server))
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("precision", ["auto", "fp8"])
async def test_a_kv_cache_that_may_ruin_the_model_is_told_at_the_start(precision: str) -> None:
    told: list[str] = []
    config = load_config("vllm-cpu", {"vllm.kv_cache_dtype": precision})
    async with Agent(config, ScriptedEngine(lambda prompt, params: ""), on_engine_event=told.append):
        assert [text for text in told if "KV cache" in text] == told
        assert len(told) == (precision == "fp8")


@pytest.mark.parametrize("family", ["qwen-coder", "qwq", "qwq-preview"])
@pytest.mark.parametrize("tools", [False, True])
def test_what_is_warmed_at_the_start_is_what_the_prompts_begin_with(family: str, tools: bool) -> None:
    warmed: list[str] = []

    class Warmed(ScriptedEngine):
        async def warm(self, prompt: str) -> None:
            warmed.append(prompt)

    engine = Warmed(lambda prompt, params: "\\boxed{7}")

    async def main() -> None:
        async with scripted(engine, sample__family=family, sample__tools=tools) as opened:
            assert len(warmed) == 1
            await opened.solve("Problem 1?")

    run_virtual(main())
    assert warmed[0] and all(prompt.startswith(warmed[0]) for prompt in engine.prompts)


async def test_an_agent_solves_in_its_context_alone(server: ScriptedServer, tmp_path: Path) -> None:
    opened = Agent.open(config_for(server))
    with pytest.raises(InputError, match="was not started: write `async with Agent"):
        await opened.solve("Problem 1?", run_dir=tmp_path / "run")
    async with opened:
        assert (await opened.solve("Problem 1?")).answer == 1
    with pytest.raises(InputError, match="the agent is closed: open another one"):
        await opened.solve("Problem 1?", run_dir=tmp_path / "run")
    with pytest.raises(InputError, match="the agent is closed: open another one"):
        async with opened:
            raise AssertionError("entered")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("fails", [False, True])
def test_leaving_the_context_closes_engine_and_sandbox_whatever_is_raised(fails: bool) -> None:
    engine, sandbox = ClosingEngine(own_number), ClosingSandbox()
    sandbox.fails = fails

    async def main() -> None:
        with pytest.raises(OSError if fails else KeyError):
            async with scripted(engine, sandbox=sandbox):
                raise KeyError("of the caller")

    run_virtual(main())
    assert (engine.closed, sandbox.closed) == (1, 1)


def test_an_engine_that_does_not_come_up_is_closed_and_its_error_raised() -> None:
    engine, sandbox = ClosingEngine(own_number, down=True), ClosingSandbox()

    async def main() -> None:
        with pytest.raises(EngineError, match="the engine is down"):
            async with scripted(engine, sandbox=sandbox):
                raise AssertionError("entered")

    run_virtual(main())
    assert (engine.closed, sandbox.closed) == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("nope",), ConfigError, "no profile 'nope'"),
        (("cpu", {"sample.cuont": 3}), ConfigError, "sample.cuont: unknown key"),
        (("cpu", {"engine.model": "gpt-9"}), ModelError, "gpt-9"),
        ((Path("nowhere.toml"),), ConfigError, "no profile 'nowhere.toml'"),
    ],
)
def test_what_cannot_be_opened_is_an_error_at_once(
    arguments: tuple[Any, ...], error: type[AgentError], message: str
) -> None:
    with pytest.raises(error, match=message):
        Agent.open(*arguments)


async def test_a_configuration_can_be_opened_with_overridden_keys(server: ScriptedServer) -> None:
    opened = Agent.open(load_config("cpu"), {"engine.kind": "http", "engine.url": server.url, "engine.model": ""})
    assert (opened.config.engine.url, opened.config.sample.count) == (server.url, load_config("cpu").sample.count)
    await opened.close()


async def test_a_model_that_the_server_does_not_know_is_refused_at_the_start() -> None:
    refused = pytest.raises(RequestRefusedError, match="the model 'gpt-9' is refused")
    unknown = (404, {"error": {"message": "The model `gpt-9` does not exist."}})
    with serving(ScriptedServer(lambda body: "", refuse=lambda body: unknown)) as server, refused:
        async with Agent.open(config_for(server), {"engine.model": "gpt-9"}):
            raise AssertionError("entered")


def test_agent_run_solves_without_a_loop(server: ScriptedServer, tmp_path: Path) -> None:
    threads: set[threading.Thread] = set()
    solutions = Agent.run(
        PROBLEMS,
        config_for(server),
        {"seed": 5},
        run_dir=tmp_path / "run",
        listeners=[lambda event: threads.add(threading.current_thread())],
    )
    assert [solution.answer for solution in solutions] == [1, 2, 3]
    assert read_run(tmp_path / "run").config.seed == 5
    assert threads == {threading.main_thread()}
    again = Agent.run(PROBLEMS, tmp_path / "run" / "config.toml", run_dir=tmp_path / "run", resume=True)
    assert again == solutions


async def test_agent_run_solves_inside_a_running_loop(server: ScriptedServer) -> None:
    ended: list[Event] = []
    solutions = Agent.run(
        ["Problem 3?"],
        config_for(server),
        listeners=[lambda event: ended.append(event) if isinstance(event, SampleEnded) else None],
    )
    assert ([solution.answer for solution in solutions], len(ended)) == ([3], 2)


async def test_agent_run_raises_inside_a_running_loop(tmp_path: Path) -> None:
    keys = {"engine.kind": "http", "engine.url": "http://127.0.0.1:9"}
    with pytest.raises(EngineError, match="no engine answers"):
        Agent.run(PROBLEMS, "cpu", keys, run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("tokens", [8, 0])
def test_the_log_of_a_server_of_ours_goes_with_the_agent_unless_that_failed(
    tokens: int, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    engine = {"engine.model": str(tiny_model), "engine.context_tokens": 512, "engine.check": "never"}
    keys = {**engine, "sample.count": 2, "sample.tools": False}
    told: list[Event] = []
    if tokens:
        limits = {"sample.max_tokens": tokens, "sample.answer_tokens": 0}
        (solution,) = Agent.run(["What is 2+3?"], "cpu", {**keys, **limits}, listeners=[told.append])
        assert solution.samples_started == 2
        assert sum(isinstance(event, SampleEnded) for event in told) == 2
    else:
        broken = tmp_path / "broken.gguf"
        broken.write_bytes(b"GGUF and no more")
        with pytest.raises(EngineError, match=re.escape(str(tmp_path))):
            Agent.run(["What is 2+3?"], "cpu", {**keys, "engine.model": str(broken)})
    assert len(list(tmp_path.rglob(ENGINE_LOG))) == (0 if tokens else 1)
