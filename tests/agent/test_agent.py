"""The public way in: agents that are opened, solve, and end what they opened, whatever happens."""

from __future__ import annotations

import asyncio
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
from agent.config import Config
from agent.engine.base import SamplingParams
from agent.errors import ConfigError, EngineError, InputError, ModelError, RequestRefusedError
from agent.events import EngineEvent, Event, ProblemSolved, ProblemStarted, SampleEnded
from agent.journal.journal import ANSWERS_FILE, read_run
from agent.journal.run_directory import ENGINE_LOG
from agent.types import StopReason
from tests.support.doubles import ScriptedEngine, ScriptedSandbox, config_with
from tests.support.servers.scripted_server import ScriptedServer, serving
from tests.support.virtual_time import run_virtual

ROOT = Path(__file__).parents[2]
PROBLEMS = [Problem(f"p{n}", f"Problem {n}?", n) for n in range(1, 4)]


def number_in(prompt: str) -> str:
    return f"so it is \\boxed{{{re.findall(r'Problem ([0-9])', prompt)[-1]}}}"


def own_number(prompt: str, params: SamplingParams) -> str:
    return number_in(prompt)


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


def scripted(engine: ScriptedEngine, *, sandbox: ScriptedSandbox | None = None, **keys: Any) -> Agent:
    config = config_with(**{"sample__count": 2, "stopping__margin": 9, **keys})
    return Agent(config, engine, sandbox or ScriptedSandbox())


def server_config(server: ScriptedServer, **keys: object) -> Config:
    return config_with(
        engine__kind="http", engine__url=server.url, engine__model="", sample__count=2, stopping__margin=9, **keys
    )


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serving(ScriptedServer(lambda body: number_in(body["prompt"]))) as running:
        yield running


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
    async with Agent.open(server_config(server)) as opened:
        assert opened.config.engine.model == "scripted"
        solution = await opened.solve("Problem 7?")
        assert (solution.problem_id, solution.answer) == ("problem", 7)
        assert (await opened.solve(Problem("own", "Problem 8?"))).problem_id == "own"


def test_nothing_is_written_without_a_run_directory(
    server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    Agent.run(PROBLEMS, server_config(server))
    assert list(tmp_path.rglob("*")) == []


def test_several_problems_are_recorded_and_told_to_listeners(tmp_path: Path) -> None:
    told: list[Event] = []

    async def main() -> None:
        solver = scripted(ScriptedEngine(own_number))
        solutions = await solver.solve_all(PROBLEMS, run_dir=tmp_path / "run", listeners=[told.append])
        assert [solution.answer for solution in solutions] == [1, 2, 3]

    run_virtual(main())
    record = read_run(tmp_path / "run")
    assert list(record.problems) == PROBLEMS
    assert [solution.answer for solution in record.solutions] == [1, 2, 3]
    assert tuple(event.solution for event in told if isinstance(event, ProblemSolved)) == record.solutions
    assert (tmp_path / "run" / ANSWERS_FILE).read_text() == "id,answer\np1,1\np2,2\np3,3\n"


def test_texts_are_called_by_their_place() -> None:
    async def main() -> list[str]:
        solutions = await scripted(ScriptedEngine(own_number)).solve_all(["Problem 4?", "Problem 5?"])
        return [f"{solution.problem_id}: {solution.answer}" for solution in solutions]

    assert run_virtual(main()) == ["1: 4", "2: 5"]


@pytest.mark.parametrize(
    ("problems", "message"),
    [
        (["Problem 1?", " "], "problem '2' is empty"),
        (["Problem\0"], "NUL"),
        ([PROBLEMS[0], PROBLEMS[0]], "2 problems have the id 'p1'"),
        ("Problem 1?", "given in a list"),
    ],
)
async def test_problems_that_cannot_be_asked_are_refused(problems: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        await scripted(ScriptedEngine(own_number)).solve_all(problems)


async def test_an_empty_problem_is_refused() -> None:
    with pytest.raises(InputError, match="the problem is empty"):
        await scripted(ScriptedEngine(own_number)).solve("")


def test_each_run_has_the_whole_time_limit() -> None:
    async def main() -> list[StopReason]:
        solver = scripted(ScriptedEngine(lambda prompt, params: "word " * 500), budget__time_limit_seconds=40)
        return [(await solver.solve("Problem 1?")).stop for _ in range(3)]

    assert run_virtual(main()) == [StopReason.DEADLINE] * 3


def test_an_interrupted_run_is_resumed_and_listeners_hear_what_it_had_solved(tmp_path: Path) -> None:
    engine = ScriptedEngine(own_number)
    solved: list[str] = []
    started: list[str] = []

    def listen(event: Event) -> None:
        if isinstance(event, ProblemSolved):
            solved.append(event.solution.problem_id)
        elif isinstance(event, ProblemStarted):
            started.append(event.problem.id)

    async def main() -> None:
        solver = scripted(engine)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(6):
                await solver.solve_all(PROBLEMS, run_dir=tmp_path)
        assert 0 < len(read_run(tmp_path).solved) < 3
        with pytest.raises(InputError, match="already holds a run"):
            await solver.solve_all(PROBLEMS, run_dir=tmp_path)
        solutions = await solver.solve_all(PROBLEMS, run_dir=tmp_path, resume=True, listeners=[listen])
        assert [solution.answer for solution in solutions] == [1, 2, 3]

    run_virtual(main())
    assert sorted(solved) == ["p1", "p2", "p3"]
    assert solved[0] == "p1" and "p1" not in started
    assert len(read_run(tmp_path).solutions) == 3


@pytest.mark.parametrize(
    ("keys", "problems", "message"),
    [
        ({}, PROBLEMS[:2], "has other problems"),
        ({"sample__count": 3}, PROBLEMS, "another sample.count"),
        ({"engine__model": "other"}, PROBLEMS, "was started with the model"),
    ],
)
def test_another_run_is_not_resumed(
    keys: dict[str, Any], problems: list[Problem], message: str, tmp_path: Path
) -> None:
    async def main() -> None:
        await scripted(ScriptedEngine(own_number)).solve_all(PROBLEMS, run_dir=tmp_path)
        before = (tmp_path / "journal.jsonl").read_bytes()
        with pytest.raises(InputError, match=message):
            await scripted(ScriptedEngine(own_number), **keys).solve_all(problems, run_dir=tmp_path, resume=True)
        assert (tmp_path / "journal.jsonl").read_bytes() == before

    run_virtual(main())


def test_what_a_resumed_run_may_set_anew_is_recorded(tmp_path: Path) -> None:
    async def main() -> None:
        await scripted(ScriptedEngine(own_number)).solve_all(PROBLEMS, run_dir=tmp_path)
        faster = scripted(ScriptedEngine(own_number), problems_in_flight=3)
        await faster.solve_all(PROBLEMS, run_dir=tmp_path, resume=True)

    run_virtual(main())
    assert [change.changed for change in read_run(tmp_path).changes] == [{"problems_in_flight": 3}]


async def test_a_run_is_resumed_from_a_directory_alone() -> None:
    with pytest.raises(InputError, match="give its run_dir"):
        await scripted(ScriptedEngine(own_number)).solve_all(PROBLEMS, resume=True)


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


async def test_a_cancelled_run_ends_its_lanes_and_releases_its_directory(tmp_path: Path) -> None:
    engine = ScriptedEngine(own_number, seconds=30.0)
    solver = scripted(engine)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await solver.solve_all(PROBLEMS, run_dir=tmp_path)
    assert engine.running == 0
    assert not (tmp_path / "run.lock").exists()


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


async def test_a_configuration_can_be_opened_with_keys_set_anew(server: ScriptedServer) -> None:
    opened = Agent.open(load_config("cpu"), {"engine.kind": "http", "engine.url": server.url, "engine.model": ""})
    assert (opened.config.engine.url, opened.config.sample.count) == (server.url, load_config("cpu").sample.count)
    await opened.close()


async def test_a_model_that_the_server_does_not_know_is_refused_at_the_start() -> None:
    refused = pytest.raises(RequestRefusedError, match="the model 'gpt-9' is refused")
    with serving(ScriptedServer(lambda body: "", status=404)) as server, refused:
        async with Agent.open(server_config(server), {"engine.model": "gpt-9"}):
            raise AssertionError("entered")


def test_engine_events_go_to_the_runs_under_way_else_to_the_caller(tmp_path: Path) -> None:
    outside: list[str] = []
    told: list[Event] = []

    async def main() -> None:
        engine = ScriptedEngine(own_number)
        solver = Agent(config_with(sample__count=2), engine, ScriptedSandbox(), on_engine_event=outside.append)
        loop = asyncio.get_running_loop()
        loop.call_later(1.5, setattr, engine, "down", True)
        loop.call_later(40.0, setattr, engine, "down", False)
        await solver.solve_all(PROBLEMS, run_dir=tmp_path, listeners=[told.append])
        engine.down = True
        with pytest.raises(EngineError):
            async with asyncio.timeout(90):
                await solver.start()

    run_virtual(main())
    events = [event for event in told if isinstance(event, EngineEvent)]
    assert "waiting for the engine: " in events[0].text and events[0].at < 5
    assert tuple(events) == read_run(tmp_path).engine_events
    assert not set(outside) & {event.text for event in events}


def test_agent_run_solves_without_a_loop(server: ScriptedServer, tmp_path: Path) -> None:
    threads: set[threading.Thread] = set()
    solutions = Agent.run(
        PROBLEMS,
        server_config(server),
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
        server_config(server),
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
    keys = {"engine.model": str(tiny_model), "engine.context_tokens": 512, "sample.count": 2, "sample.tools": False}
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
