"""The submission's commands where their packages are not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from submission.commands import start_command

WANTED = {"build": "jupytext", "push": "slugify", "rehearse": "jupytext", "wheelhouse": "slugify"}


@pytest.mark.process
@pytest.mark.parametrize("command", WANTED)
def test_a_missing_package_is_one_line(command: str) -> None:
    hide = f"import sys; sys.modules[{WANTED[command]!r}] = None"
    program = f"{hide}; from agent.cli.aimo import main; sys.exit(main([{command!r}]))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr == (
        f"error: submission.{command} needs the package {WANTED[command]}: pip install 'aimo-agent[kaggle]'\n"
    )


def test_a_module_of_our_own_that_is_missing_is_no_missing_package() -> None:
    with pytest.raises(ModuleNotFoundError):
        start_command("submission.nowhere")


@pytest.mark.process
def test_a_path_that_the_locale_cannot_write_ends_no_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "submission.build", "--out", str(tmp_path / "prüfung"), "--owner", "me"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert done.returncode == 0 and "pr\\xfcfung" in done.stdout and "Traceback" not in done.stderr
