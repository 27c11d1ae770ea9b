"""Calls of the command, in a process of its own or in this one, and what its refusals look like."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.solve import main

ROOT = Path(__file__).parents[2]
Result = subprocess.CompletedProcess[str]


def command(*arguments: object) -> list[str]:
    """The words of a call."""
    return [sys.executable, "-m", "agent.solve", *map(str, arguments)]


def environment(**extra: str) -> dict[str, str]:
    """The environment of a call from any directory."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **extra}


def solve(*arguments: object, cwd: Path, **extra: str) -> Result:
    """Call it in a process of its own."""
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, cwd=cwd, env=environment(**extra), timeout=60, check=False
    )


def solve_here(capsys: pytest.CaptureFixture[str], *arguments: object) -> Result:
    """Call it in this process and directory, which is quicker."""
    try:
        status: object = main([str(argument) for argument in arguments])
    except SystemExit as exit_:
        status = exit_.code
    assert isinstance(status, int)
    return Result(command(*arguments), status, *capsys.readouterr())


def refused(result: Result, *fragments: str) -> None:
    """Exit status 2 and one clear sentence, no traceback."""
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    message = result.stderr.strip().splitlines()[-1]
    assert message.startswith("error: ")
    for fragment in fragments:
        assert fragment in message
