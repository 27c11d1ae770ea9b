"""The command itself, in a process of its own, against a real HTTP server with scripted replies."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent.editions import EDITIONS
from agent.journal.journal import ANSWERS_FILE, JOURNAL_FILE, read_run
from tests.support.calls import ROOT, Result, command, environment, refused, solve, solve_here
from tests.support.servers.scripted_server import ScriptedServer, serving

pytestmark = pytest.mark.process

PROBLEMS = "id,problem,answer\na,Problem 1?,1\nb,Problem 2?,2\nc,Problem 3?,3\n"
Here = Callable[..., Result]


def own_number(body: dict[str, Any]) -> str:
    number = re.findall(r"Problem (\d)", body["prompt"])[-1]
    return f"so it is \\boxed{{{number}}}"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serving(ScriptedServer(own_number)) as running:
        yield running


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    (tmp_path / "problems.csv").write_text(PROBLEMS)
    return tmp_path / "problems.csv"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    """The command in this process, in a directory of its own: for what is refused before anything is started."""
    monkeypatch.chdir(tmp_path)

    return lambda *arguments: solve_here(capsys, *arguments)


def test_one_problem(server: ScriptedServer, tmp_path: Path) -> None:
    result = solve("Problem 7?", "--url", server.url, "--samples", 3, "--json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["solutions"][0]["answer"] == 7


def test_a_file_is_replayed_and_recorded(server: ScriptedServer, problems: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    result = solve("--problems", problems, "--url", server.url, "--run-dir", run, "--samples", 3, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "3 of 3" in result.stdout
    assert (run / ANSWERS_FILE).read_text() == "id,answer\na,1\nb,2\nc,3\n"
    record = read_run(run)
    assert [s.answer for s in record.solutions] == [1, 2, 3]
    assert record.config.sample.count == 3


def test_a_recorded_configuration_can_be_run_again(server: ScriptedServer, problems: Path, tmp_path: Path) -> None:
    first = ["--problems", problems, "--url", server.url, "--run-dir", "one", "--samples", 2, "--seed", 5]
    assert solve(*first, cwd=tmp_path).returncode == 0
    again = solve("--problems", problems, "--profile", "one/config.toml", "--run-dir", "two", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert read_run(tmp_path / "two").config == read_run(tmp_path / "one").config


def start_and_interrupt(arguments: Sequence[object], cwd: Path, journal: Path, how: signal.Signals) -> tuple[int, str]:
    """Send the signal once the first problem is recorded as solved."""
    process = subprocess.Popen(
        command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd, env=environment()
    )
    deadline = time.monotonic() + 30
    while not (journal.exists() and b'"solution"' in journal.read_bytes()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(how)
    _, errors = process.communicate(timeout=20)
    return process.returncode, errors


@pytest.mark.parametrize(
    "how",
    [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long), signal.SIGKILL],
    ids=lambda how: how.name,
)
def test_interrupted_and_resumed(problems: Path, tmp_path: Path, how: signal.Signals) -> None:
    run = tmp_path / "run"
    with serving(ScriptedServer(own_number, pause=0.1)) as server:
        arguments = ["--problems", problems, "--url", server.url, "--run-dir", run, "--samples", 2]
        status, errors = start_and_interrupt(arguments, tmp_path, run / JOURNAL_FILE, how)
        solved_before = set(read_run(run).solved)
        assert solved_before < {"a", "b", "c"}
        if how is not signal.SIGKILL:
            assert status == 130
            assert errors.strip().splitlines()[-1].endswith(f"--run-dir {run} --resume")
        asked_before = len(server.bodies)
        result = solve("--run-dir", run, "--resume", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert (run / ANSWERS_FILE).read_text().splitlines()[1:] == ["a,1", "b,2", "c,3"]
    asked_again = {own_number(body) for body in server.bodies[asked_before:]}
    assert own_number({"prompt": "Problem 1"}) not in asked_again


def test_resuming_a_finished_run_prints_it_again(server: ScriptedServer, problems: Path, tmp_path: Path) -> None:
    arguments = ["--problems", problems, "--url", server.url, "--run-dir", "run", "--samples", 2]
    assert solve(*arguments, cwd=tmp_path).returncode == 0
    asked = len(server.bodies)
    result = solve("--run-dir", "run", "--resume", cwd=tmp_path)
    assert (result.returncode, len(server.bodies)) == (0, asked)
    assert "3 of 3" in result.stdout


def test_a_run_is_not_overwritten(server: ScriptedServer, problems: Path, tmp_path: Path) -> None:
    arguments = ["--problems", problems, "--url", server.url, "--run-dir", "run", "--samples", 1]
    assert solve(*arguments, cwd=tmp_path).returncode == 0
    refused(solve(*arguments, cwd=tmp_path), "already holds a run", "resume that")


def test_an_engine_that_dies_on_the_way_loses_nothing(problems: Path, tmp_path: Path) -> None:
    """The third problem meets a dead server; the command says so, and goes on from there with a new one."""
    run = tmp_path / "run"
    dying = ScriptedServer(own_number)

    def die_at_three(body: dict[str, Any]) -> str:
        reply = own_number(body)
        if "3" in reply:
            dying.status = 500
            return "\0"
        return reply

    dying.reply = die_at_three
    with serving(dying):
        arguments = ["--problems", problems, "--url", dying.url, "--run-dir", run, "--samples", 2]
        refused(solve(*arguments, cwd=tmp_path), "the engine failed at 1 of 3 problems", "answered 500", "--resume")
    assert set(read_run(run).solved) == {"a", "b"}
    with serving(ScriptedServer(own_number)) as fresh:
        result = solve("--run-dir", run, "--resume", "--url", fresh.url, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert set(read_run(run).solved) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["--problems", "missing.csv"], ["missing.csv"]),
        (["x", "--problems", "p.csv"], ["give one of them"]),
        ([" "], ["the problem is empty"]),
        (["x", "--edition", "aimo7"], ["aimo7", ", ".join(EDITIONS)]),
        (["x", "--profile", "nope"], ["no profile 'nope'"]),
        (["x", "--samples", "0"], ["sample.count"]),
        (["x", "--samples", "two"], ["--samples", "invalid int"]),
        (["x", "--time-limit", "soon"], ["--time-limit 'soon'"]),
        (["x", "--set", "nonsense"], ["KEY=VALUE"]),
        (["x", "--set", "sample.cuont=3"], ["sample.cuont: unknown key"]),
        (["x", "--model", "gpt-9"], ["gpt-9"]),
        (["x", "--model", "missing.gguf"], ["missing.gguf"]),
        (["--resume"], ["--run-dir"]),
        (["--resume", "--run-dir", "nothing"], ["holds no run"]),
        (["x", "--resume", "--run-dir", "nothing"], ["leave out problem"]),
        (["x", "--url", "http://127.0.0.1:9"], ["no engine answers"]),
        (["x", "--run-dir", "/proc/nothing"], ["cannot be written"]),
        (["--colour"], ["--colour"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_a_one_line_message_and_status_2(here: Here, arguments: list[str], fragments: list[str]) -> None:
    Path("p.csv").write_text(PROBLEMS)
    refused(here(*arguments), *fragments)


def test_a_process_is_refused_alike(tmp_path: Path) -> None:
    refused(solve("--problems", "missing.csv", cwd=tmp_path), "missing.csv")


@pytest.mark.parametrize(
    ("content", "fragments"),
    [
        ("id,problem\na,What?\nb\nc,Why?\n", ["p.csv", "line 3"]),
        ("id,text\na,What?\n", ["p.csv", "problem"]),
        ("", ["p.csv", "empty"]),
        ("id,problem,answer\na,What?,fifty\n", ["p.csv", "line 2", "fifty"]),
    ],
    ids=["malformed row in the middle", "missing column", "empty file", "answer in words"],
)
def test_a_bad_problem_file_is_named_with_its_line(here: Here, content: str, fragments: list[str]) -> None:
    Path("p.csv").write_text(content)
    refused(here("--problems", "p.csv"), *fragments)
    assert not Path("runs").exists()


def test_a_full_disk_stops_the_run_with_a_one_line_message(
    server: ScriptedServer, problems: Path, tmp_path: Path
) -> None:
    """The kernel's file size limit stands in for the full disk; --resume then continues the run."""
    limit = 'ulimit -f 8; exec "$@"'  # blocks of 512 bytes or 1 KiB: the journal of the first problem fits
    long_replies = {"a": 0}

    def reply(body: dict[str, Any]) -> str:
        long_replies["a"] += 1
        return f"{'word ' * 100} {own_number(body)}"

    server.reply = reply
    arguments = command("--problems", problems, "--url", server.url, "--run-dir", "run", "--samples", 2)
    shell = shutil.which("sh")
    assert shell
    result = subprocess.run(
        [shell, "-c", limit, "sh", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(PYTHONDONTWRITEBYTECODE="1"),
        timeout=60,
        check=False,
    )
    refused(result, "cannot be written", "can be resumed")
    assert read_run(tmp_path / "run").unreadable == 0
    resumed = solve("--run-dir", "run", "--resume", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert (tmp_path / "run" / ANSWERS_FILE).read_text().splitlines()[1:] == ["a,1", "b,2", "c,3"]


def test_help_needs_nothing_heavy_and_is_quick(tmp_path: Path) -> None:
    """Against the time that an interpreter takes to start and do nothing, in one run."""

    def best(arguments: list[str]) -> float:
        times = []
        for _ in range(5):
            begun = time.perf_counter()
            subprocess.run(arguments, capture_output=True, check=True, cwd=ROOT, env=environment())
            times.append(time.perf_counter() - begun)
        return min(times)

    bare = best([sys.executable, "-c", "import argparse"])
    assert best(command("--help")) < bare + 0.3


def test_import_agent_and_help_load_no_heavy_package() -> None:
    code = (
        "import sys, agent, agent.solve\n"
        "try: agent.solve.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'vllm', 'pandas', 'numpy', 'sympy', 'pydantic', 'aiohttp', 'rich', 'xllamacpp'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stderr
