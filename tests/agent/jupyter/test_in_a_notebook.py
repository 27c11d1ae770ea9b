"""The agent in a genuine notebook, executed by a kernel: five lines, progress, and results that show themselves."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode

from tests.support.agents import number_in
from tests.support.servers.scripted_server import ScriptedServer, serving

pytestmark = pytest.mark.process
ROOT = Path(__file__).parents[3]
OPENED = 'agent = BlockingAgent("cpu", {settings})'
FIVE_LINES = f"""import pandas as pd
from agent import BlockingAgent
{OPENED}
table = pd.DataFrame({{"id": ["a", "b"], "problem": ["Problem 1?", "Problem 2?"], "answer": [1, 7]}})
agent.solve(table)"""
CELLS = (
    FIVE_LINES,
    'agent.solve("Problem 7?")',
    "import threading\n" + OPENED + "\nprint(agent.solve(['Problem 3?'])[0].answer)\n"
    "print(sum(thread.name == 'agent' for thread in threading.enumerate()))",
    'agent.solve("")',
)


def executed(settings: dict[str, Any], cells: tuple[str, ...]) -> list[NotebookNode]:
    """The cells of a notebook after a kernel has executed them; a cell may fail."""
    sources = [cell.replace("{settings}", repr(settings)) for cell in cells]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    client = NotebookClient(notebook, timeout=120, kernel_name="python3", allow_errors=True)
    client.execute(env={**os.environ, "PYTHONPATH": str(ROOT)})
    return list(notebook.cells)


@pytest.fixture(scope="module")
def cells() -> Iterator[list[NotebookNode]]:
    with serving(ScriptedServer(lambda body: number_in(body["prompt"]), pause=0.1)) as server:
        settings = {"engine.kind": "http", "engine.url": server.url, "engine.model": "", "sample.count": 2}
        prices = {"price.input_per_million": 1.0, "price.output_per_million": 2.0, "price.currency": "EUR"}
        yield executed({**settings, **prices, "engine.check": "never"}, CELLS)


def outputs(cell: NotebookNode, kind: str) -> list[NotebookNode]:
    return [output for output in cell.outputs if output.output_type == kind]


def test_a_table_is_solved_in_five_lines_of_which_none_is_asynchronous(cells: list[NotebookNode]) -> None:
    assert "async" not in FIVE_LINES and "await" not in FIVE_LINES
    (result,) = outputs(cells[0], "execute_result")
    assert "<table" in result.data["text/html"]
    shown = result.data["text/plain"].split()
    assert shown[:8] == ["id", "answer", "right", "votes", "tokens", "cost", "seconds", "closed_by"]
    assert {"True", "False", "2/2"} <= set(shown)


def test_the_progress_is_one_output_that_ends_as_one_line(cells: list[NotebookNode]) -> None:
    (progress,) = outputs(cells[0], "display_data")
    assert progress.data["text/plain"].startswith("2 of 2 problems solved · 1 of 2 correct · 0:0")
    assert re.search(r" · cost 0\.0\d* EUR$", progress.data["text/plain"])
    assert "progress" not in progress.data["text/html"]
    assert outputs(cells[1], "stream") == []


def test_a_solution_shows_itself(cells: list[NotebookNode]) -> None:
    (result,) = outputs(cells[1], "execute_result")
    for shown in (result.data["text/html"], result.data["text/plain"]):
        assert "7" in shown and "All 2 votes are for 7." in shown and re.search(r" · cost 0\.0\d* EUR", shown)
    assert "so it is \\boxed{7}" in result.data["text/html"]


def test_a_cell_that_is_run_again_closes_the_agent_that_it_had_opened(cells: list[NotebookNode]) -> None:
    (printed,) = outputs(cells[2], "stream")
    assert printed.text == "3\n1\n"


def test_bad_input_is_an_error_of_the_cell_with_one_sentence(cells: list[NotebookNode]) -> None:
    (error,) = outputs(cells[3], "error")
    assert (error.ename, error.evalue) == ("InputError", "the problem is empty: give its text")


@pytest.mark.long
def test_a_real_model_answers_in_a_notebook_and_is_gone_with_the_kernel(tiny_model: Path) -> None:
    settings = {"engine.model": str(tiny_model), "sample.count": 2, "sample.max_tokens": 300, "engine.check": "never"}
    ask = FIVE_LINES.partition("table = ")[0] + 'agent.solve("What is 2 + 2?", run_dir=None)'
    processes = "import psutil\nprint(*[each.pid for each in psutil.Process().children(recursive=True)])"
    solved, listed = executed({**settings, "budget.time_limit_seconds": 60}, (ask, processes))
    (result,) = outputs(solved, "execute_result")
    assert "aimo-solution" in result.data["text/html"]
    (printed,) = outputs(listed, "stream")
    children = [int(pid) for pid in printed.text.split()]
    assert children
    assert not [pid for pid in children if _is_running(pid)]


def _is_running(pid: int) -> bool:
    psutil = pytest.importorskip("psutil")
    try:
        psutil.Process(pid).wait(10)
    except psutil.NoSuchProcess:
        return False
    except psutil.TimeoutExpired:
        return True
    return False
