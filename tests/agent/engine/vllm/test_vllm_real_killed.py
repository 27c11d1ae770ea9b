"""The agent beside the real vLLM that is killed under it: a file of its own, so that it runs beside the others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from agent.engine.process import free_port
from agent.journal.journal import read_run
from agent.problems.reader import starter_problems
from agent.problems.writer import write_problems
from agent.types import SampleEnd
from tests.support.processes import command_of
from tests.support.servers.vllm_installed import PYTHON, QUIET, ROOT, hf_model, metric, needs_vllm

pytestmark = needs_vllm


def test_killed_twice_in_mid_problem_every_problem_gets_its_answer(tmp_path: Path) -> None:
    problems = list(starter_problems())[0:3:2]  # whose code is short
    write_problems(problems, tmp_path / "problems.csv")
    port = free_port()
    settings = {
        "engine.model": f'"{hf_model("qwen2.5-coder-0.5b")}"',
        "engine.port": port,
        "vllm.python": f'"{PYTHON}"',
        "sample.count": 3,
        "sample.max_tokens": 110,
        "stopping.rule": "uncatchable",
        "budget.planner": "spread",
    }
    command = [sys.executable, "-m", "agent.solve", "--profile", "vllm-cpu", "--problems", "problems.csv"]
    command += ["--run-dir", "run", "--time-limit", "600", "--no-check"]
    command += [f"--set={key}={value}" for key, value in settings.items()]
    agent = subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, **QUIET, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True
    )
    try:
        for name in ("VLLM::EngineCore", "api_server"):
            kill_in_mid_problem(agent, port, name)
        _, errors = agent.communicate(timeout=600)
    finally:
        agent.kill()
    assert agent.returncode == 0, errors
    record = read_run(tmp_path / "run")
    assert [solution.problem_id for solution in record.solutions] == [problem.id for problem in problems]
    assert all(solution.answer is not None for solution in record.solutions)
    resumed = [(turn, at) for sample in record.samples for turn in sample.turns for at in turn.resumed_at]
    assert any(0 < at < turn.tokens for turn, at in resumed)
    assert not any(sample.end is SampleEnd.ENGINE_ERROR for sample in record.samples)
    assert any(sample.tool_runs for sample in record.samples)
    assert errors.count("the vLLM server is up after") == 3
    assert metric(port, "num_requests_running") == 0  # nothing serves there any more


def kill_in_mid_problem(agent: subprocess.Popen[str], port: int, name: str) -> None:
    """Kill the server's process of that name as soon as lanes have had some tokens from it."""
    deadline = time.monotonic() + 300
    while not (metric(port, "generation_tokens_total") > 24 and metric(port, "num_requests_running") > 1):
        assert agent.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
    family = psutil.Process(agent.pid).children(recursive=True)
    for process in family:
        if name in " ".join(command_of(process)) and "guardian" not in " ".join(command_of(process)):
            process.send_signal(signal.SIGKILL)
            break
    else:
        raise AssertionError(family)
    while metric(port, "generation_tokens_total"):  # the others of its processes take a moment to follow
        time.sleep(0.1)
