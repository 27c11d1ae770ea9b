"""The command with a real model on the real embedded engine: from the prompt to the recorded answer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from agent.journal.journal import ANSWERS_FILE, JOURNAL_FILE, read_run
from agent.types import SampleEnd
from tests.support.processes import command_of

ROOT = Path(__file__).parents[2]
PROBLEMS = "id,problem,answer\na,What is 2+3?,5\nb,What is 10 divided by 2?,5\n"
SETTINGS = {"sample.max_tokens": 32, "engine.context_tokens": 1024, "engine.check": "never"}


def start(model: Path, tmp_path: Path, *arguments: object) -> subprocess.Popen[str]:
    (tmp_path / "problems.csv").write_text(PROBLEMS)
    settings = [f"--set={key}={value}" for key, value in SETTINGS.items()]
    flags = ["--problems", "problems.csv", "--model", model, "--samples", 3, "--run-dir", "run", "--json", *settings]
    return subprocess.Popen(
        [sys.executable, "-m", "agent.solve", *map(str, [*flags, *arguments])],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def engine_of(process: subprocess.Popen[str]) -> psutil.Process:
    """The engine's process, once it runs."""
    for _ in range(600):
        assert process.poll() is None
        for child in psutil.Process(process.pid).children(recursive=True):
            if any("embedded_server" in word for word in command_of(child)):
                return child
        time.sleep(0.05)
    raise AssertionError("no engine was started")


def wait_for(text: bytes, path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not (path.exists() and text in path.read_bytes()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_real_model_solves_through_the_whole_agent(tiny_model: Path, tmp_path: Path) -> None:
    process = start(tiny_model, tmp_path)
    engine = engine_of(process)
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert not engine.is_running()
    assert [s["problem_id"] for s in json.loads(output)["solutions"]] == ["a", "b"]
    record = read_run(tmp_path / "run")
    assert len(record.solutions) == 2
    assert len(record.samples) == 6
    assert any(sample.tokens > 5 for sample in record.samples)
    assert all(sample.end is not SampleEnd.ENGINE_ERROR for sample in record.samples)
    assert (tmp_path / "run" / ANSWERS_FILE).read_text().startswith("id,answer\na,")


@pytest.mark.long
def test_an_engine_killed_mid_stream_is_restarted_and_the_lanes_continue(tiny_model: Path, tmp_path: Path) -> None:
    process = start(tiny_model, tmp_path, "--set=sample.max_tokens=64", "--set=sample.tools=false")
    engine = engine_of(process)
    wait_for(b'"problem"', tmp_path / "run" / JOURNAL_FILE, process)
    time.sleep(0.5)
    engine.send_signal(signal.SIGKILL)
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert len(json.loads(output)["solutions"]) == 2
    assert all(s.end is not SampleEnd.ENGINE_ERROR for s in read_run(tmp_path / "run").samples)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=lambda how: how.name)
def test_the_engine_ends_with_the_agent(tiny_model: Path, tmp_path: Path, how: signal.Signals) -> None:
    process = start(tiny_model, tmp_path, "--set=sample.tools=false")
    engine = engine_of(process)
    wait_for(b'"problem"', tmp_path / "run" / JOURNAL_FILE, process)
    process.send_signal(how)
    process.communicate(timeout=30)
    psutil.wait_procs([engine], timeout=10)
    assert not engine.is_running()
