"""The check of the served model as an agent makes it: what it stops, what it records, and when it is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent import Agent
from agent.cost.ledger import recorded_cost
from agent.errors import UnhealthyModelError
from agent.events import EngineStarted, Event, HealthChecked, ServerMemory
from agent.hardware.detect import Gpu, lesser_gpus
from agent.hardware.devices import KNOWN_DEVICES
from agent.health.check import is_checked
from agent.journal.journal import read_run
from agent.journal.run_directory import RunDirectory
from tests.support.agents import PROBLEMS, config_for, number_in, own_number, scripted
from tests.support.doubles import ScriptedEngine, config_with
from tests.support.servers.scripted_server import ScriptedServer, serving


def sound() -> ScriptedServer:
    return ScriptedServer(lambda body: number_in(body["prompt"]))


def ruined() -> ScriptedServer:
    return ScriptedServer(lambda body: "?" * 90, sound=False)


def test_a_ruined_model_is_stopped_before_anything_is_recorded(tmp_path: Path) -> None:
    with serving(ruined()) as server, pytest.raises(UnhealthyModelError, match=r"lanes wrote no language.*--no-check"):
        Agent.run(PROBLEMS, config_for(server), run_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


async def test_an_agent_whose_model_failed_can_be_used_all_the_same() -> None:
    with serving(ruined()) as server:
        agent = Agent.open(config_for(server))
        with pytest.raises(UnhealthyModelError):
            await agent.start()
        assert agent.checked is not None and agent.checked.fault
        assert (await agent.solve("Problem 7?")).answer is None
        await agent.close()


def test_the_outcome_is_an_event_and_recorded_once_and_its_samples_are_not(tmp_path: Path) -> None:
    told: list[Event] = []
    with serving(sound()) as server:
        Agent.run(PROBLEMS, config_for(server), run_dir=tmp_path / "run", listeners=[told.append])
        record = read_run(tmp_path / "run")
        Agent.run(PROBLEMS, config_for(server), run_dir=tmp_path / "run", resume=True)
        assert read_run(tmp_path / "run").checks == record.checks  # a resumed run is not checked again
    (checked,) = (event for event in told if isinstance(event, HealthChecked))
    assert record.checks == (checked,) and record.found_sound
    assert checked.text.startswith("model checked: 2 of 2 easy problems right, ")
    assert len({each.lanes for each in checked.learnt}) == 1 < len(checked.learnt), "lanes that ran side by side"
    assert {sample.problem_id for sample in record.samples} == {problem.id for problem in PROBLEMS}


async def test_a_run_that_the_agent_which_began_it_resumes_has_paid_for_one_check(tmp_path: Path) -> None:
    prices = {"price__input_per_million": 1.0, "price__output_per_million": 1.0}
    told: list[Event] = []
    with serving(sound()) as server:
        async with Agent.open(config_for(server, **prices)) as agent:
            await agent.solve_all(PROBLEMS, run_dir=tmp_path / "run")
            first = read_run(tmp_path / "run")
            await agent.solve_all(PROBLEMS, run_dir=tmp_path / "run", resume=True, listeners=[told.append])
            again = read_run(tmp_path / "run")
            with agent.begin(directory=RunDirectory(tmp_path / "run", PROBLEMS, again)) as run:
                assert run.runtime.ledger is not None
                spent = run.runtime.ledger.spent
    assert len(first.checks) == 1 and first.checks[0].cost > 0
    assert again.checks == first.checks and not any(isinstance(event, HealthChecked) for event in told)
    assert spent == pytest.approx(recorded_cost(first))


async def test_a_run_that_the_agent_which_began_it_resumes_has_one_start_of_its_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = EngineStarted({"weights read": 93.1}, ServerMemory(31.24))
    monkeypatch.setattr("agent.engine.configured.start_of", lambda engine: told)
    async with scripted(ScriptedEngine(own_number, seconds=0.0)) as agent:
        await agent.solve_all(PROBLEMS, run_dir=tmp_path / "run")
        first = read_run(tmp_path / "run").engine_starts
        await agent.solve_all(PROBLEMS, run_dir=tmp_path / "run", resume=True)
    assert [(list(start.parts), start.memory) for start in first] == [(["weights read", "warm-up"], told.memory)]
    assert read_run(tmp_path / "run").engine_starts == first


def test_the_check_of_a_resumed_run_has_the_money_that_the_run_has_left(tmp_path: Path) -> None:
    keys = {"price__input_per_million": 1.0, "price__output_per_million": 1.0}
    with serving(sound()) as server:
        Agent.run(PROBLEMS, config_for(server, **keys), {"engine.check": "never"}, run_dir=tmp_path / "run")
        left = {"budget.max_cost": recorded_cost(read_run(tmp_path / "run"))}
        with pytest.raises(UnhealthyModelError, match=r"budget\.max_cost is too little"):
            Agent.run(PROBLEMS, config_for(server, **keys), left, run_dir=tmp_path / "run", resume=True)


@pytest.mark.parametrize("key", [True, False])
def test_the_check_can_be_left_out(key: bool, tmp_path: Path) -> None:
    with serving(ruined()) as server:
        config = config_for(server, **({"engine__check": "never"} if key else {}))
        Agent.run(PROBLEMS, config, {} if key else {"engine.check": "never"}, run_dir=tmp_path / "run")
    assert read_run(tmp_path / "run").checks == ()


def test_a_known_model_that_is_computed_here_is_not_checked() -> None:
    assert not is_checked(config_with())
    assert is_checked(config_with(engine__model="models/own.gguf"))
    assert is_checked(config_with(engine__check="always"))
    assert is_checked(config_with(engine__kind="vllm", engine__model="qwq"))
    assert not is_checked(config_with(engine__kind="vllm", engine__model="qwq", engine__check="never"))


@pytest.mark.parametrize(
    ("name", "memory", "lesser"),
    [
        ("NVIDIA H100 80GB HBM3", KNOWN_DEVICES["H100"].memory_bytes, False),
        ("NVIDIA H200", KNOWN_DEVICES["H200"].memory_bytes, False),
        ("Tesla P100-PCIE-16GB", 16 << 30, True),
        ("NVIDIA H100 PCIe", KNOWN_DEVICES["H100"].memory_bytes, True),
        ("NVIDIA L4", KNOWN_DEVICES["L4"].memory_bytes, True),
        ("NVIDIA H100 80GB HBM3", 40 << 30, True),
    ],
)
def test_gpus_lesser_than_those_that_are_asked_for_are_named(name: str, memory: int, lesser: bool) -> None:
    config = config_with(engine__kind="vllm", engine__model="qwq", vllm__gpu="H100")
    said = lesser_gpus(config, [Gpu(name, memory)])
    assert (name in said) is lesser and bool(said) is lesser
    assert lesser_gpus(config_with(engine__kind="vllm", engine__model="qwq"), [Gpu(name, memory)]) == ""
