"""Problems solved by blocking calls: what comes back, what is shown, and what an interrupt or a failure leaves."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from agent import BlockingAgent, Problem, Solution
from agent.errors import AgentError, ConfigError, InputError
from tests.support.agents import PROBLEMS, config_for, number_in
from tests.support.servers.scripted_server import ScriptedServer, serving

TABLE = pd.DataFrame(
    {"id": [5, 6, 7], "problem": ["Problem 1?", "Problem 2?", "Problem 3?"], "answer": [1, 9, None]}, index=[*"abc"]
)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serving(ScriptedServer(lambda body: number_in(body["prompt"]))) as running:
        yield running


@pytest.fixture
def agent(server: ScriptedServer) -> Iterator[BlockingAgent]:
    with BlockingAgent(config_for(server), check=False, progress=False) as opened:
        yield opened


def agent_threads() -> int:
    return sum(thread.name == "agent" for thread in threading.enumerate())


def test_a_text_gives_a_solution_that_has_its_samples(agent: BlockingAgent) -> None:
    solved = agent.solve("Problem 7?")
    assert isinstance(solved, Solution)
    assert (solved.answer, solved.problem.text, len(solved.samples)) == (7, "Problem 7?", 2)
    assert solved.evidence in solved.samples
    assert repr(solved).startswith("problem: answer 7 · votes 2/2\n")
    assert solved.samples[0].text not in repr(solved)


def test_a_list_gives_a_list_and_one_engine_serves_all_calls(agent: BlockingAgent) -> None:
    threads = agent_threads()
    assert [each.answer for each in agent.solve(PROBLEMS)] == [1, 2, 3]
    assert [each.answer for each in agent.solve(["Problem 4?"])] == [4]
    assert agent_threads() == threads + 1


def test_a_table_gives_a_table_with_the_same_index(agent: BlockingAgent) -> None:
    solved = agent.solve(TABLE)
    assert [*solved.columns] == ["id", "answer", "right", "votes", "tokens", "seconds", "closed_by"]
    assert [*solved.index] == [*"abc"]
    assert [*solved.id] == ["5", "6", "7"]
    assert [*solved.answer] == [1, 2, 3]
    assert [*solved.right[:2]] == [True, False] and solved.right.isna()["c"]
    assert [*solved.votes] == ["2/2"] * 3
    assert (solved.tokens > 0).all() and (solved.seconds > 0).all()


def test_an_empty_table_gives_an_empty_one_without_an_engine() -> None:
    solved = BlockingAgent("cpu", {"engine.kind": "http", "engine.url": "http://127.0.0.1:9"}).solve(TABLE[:0])
    assert len(solved) == 0 and "answer" in solved.columns


@pytest.mark.parametrize(
    ("table", "fragment"),
    [
        (TABLE.drop(columns="problem"), "the table, header: no column 'problem' or 'question'"),
        (TABLE.assign(id=1), "the table, row 2: the id '1' is already used in row 1"),
        (TABLE.assign(problem=["Why?", "", "How?"]), "the table, row 2: the problem is empty"),
        (TABLE.assign(answer=["1", "2.5", ""]), "the table, row 2: the answer '2.5' is not an integer"),
    ],
)
def test_a_table_that_cannot_be_asked_is_refused_in_one_sentence(
    agent: BlockingAgent, table: pd.DataFrame, fragment: str
) -> None:
    with pytest.raises(InputError) as refused:
        agent.solve(table)
    assert fragment in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("problems", [7, {"id": "x"}, [7], b"Why?", ""])
def test_what_is_no_problem_is_refused(agent: BlockingAgent, problems: Any) -> None:
    with pytest.raises(InputError):
        agent.solve(problems)


def test_it_works_where_an_event_loop_is_running(agent: BlockingAgent) -> None:
    async def cell() -> int | None:
        return agent.solve("Problem 7?").answer

    assert asyncio.run(cell()) == 7


def test_a_run_is_recorded_and_a_resumed_one_has_all_samples(agent: BlockingAgent, tmp_path: Path) -> None:
    first = agent.solve(PROBLEMS, run_dir=tmp_path / "run")
    again = agent.solve(PROBLEMS, run_dir=tmp_path / "run", resume=True)
    assert [each.answer for each in again] == [1, 2, 3]
    assert [each.samples for each in again] == [each.samples for each in first]
    assert all(each.samples for each in again)


def test_an_interrupt_ends_the_run_and_leaves_the_engine(server: ScriptedServer, agent: BlockingAgent) -> None:
    assert agent.solve("Problem 7?").answer == 7
    main = threading.main_thread().ident
    assert main is not None
    once = threading.Lock()  # both samples request, on threads of the server

    def interrupts(body: dict[str, Any]) -> str:
        if once.acquire(blocking=False):
            signal.pthread_kill(main, signal.SIGINT)
        return "word " * 10_000

    server.reply, server.pause = interrupts, 0.01
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            agent.solve("Problem 8?")
    finally:
        signal.signal(signal.SIGINT, before)
    assert server.dropped.wait(5)
    server.reply, server.pause = lambda body: number_in(body["prompt"]), 0.0
    assert agent.solve("Problem 9?").answer == 9


def test_an_engine_that_did_not_come_up_is_tried_again(server: ScriptedServer) -> None:
    server.key = "secret"
    with BlockingAgent(config_for(server), check=False, progress=False) as agent:
        with pytest.raises(AgentError):
            agent.solve("Problem 7?")
        server.key = None
        assert agent.solve("Problem 7?").answer == 7


def test_a_closed_agent_says_so_and_closes_once_more() -> None:
    agent = BlockingAgent("cpu", progress=False)
    agent.close()
    agent.close()
    with pytest.raises(InputError, match="closed"):
        agent.solve("Why?")


def test_a_wrong_configuration_is_refused_before_anything_starts() -> None:
    with pytest.raises(ConfigError):
        BlockingAgent("no-such-profile")
    with pytest.raises(ConfigError):
        BlockingAgent("cpu", {"sample.cuont": 3})


def test_an_agent_that_nothing_refers_to_is_closed(server: ScriptedServer) -> None:
    threads = agent_threads()
    agent = BlockingAgent(config_for(server), check=False, progress=False)
    assert agent.solve(Problem("p", "Problem 7?")).answer == 7
    assert agent_threads() == threads + 1
    del agent
    gc.collect()
    assert agent_threads() == threads


@pytest.mark.parametrize("shown", [True, False])
def test_progress_is_written_to_standard_error_where_there_is_no_notebook(
    server: ScriptedServer, capsys: pytest.CaptureFixture[str], *, shown: bool
) -> None:
    with BlockingAgent(config_for(server), check=False, progress=shown) as agent:
        agent.solve("Problem 7?")
    out, err = capsys.readouterr()
    assert out == ""
    assert ("closed problem · answer 7" in err) is shown
