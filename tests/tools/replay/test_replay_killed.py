"""A replay that is killed, which can end nothing itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.runs.recordings import write_traces


@pytest.mark.process
def test_the_workers_of_a_killed_replay_end_with_it(tmp_path: Path) -> None:
    traces = write_traces(tmp_path / "model.jsonl")
    words = [sys.executable, "-m", "tools.replay", str(traces), "--budget-tokens", "9000", "--no-bounds"]
    with subprocess.Popen([*words, "--repeats", "100000", "--processes", "2"], stdout=subprocess.DEVNULL) as replay:
        command = psutil.Process(replay.pid)
        try:
            while not (workers := [each for each in command.children(recursive=True) if _is_worker(each)]):
                assert replay.poll() is None
        finally:
            replay.kill()
    _, left = psutil.wait_procs(workers, timeout=60)
    assert left == []


def _is_worker(process: psutil.Process) -> bool:
    """Whether it is at work for the pool: a child of the fork server."""
    parent = process.parent()
    return parent is not None and "forkserver" in " ".join(parent.cmdline())
