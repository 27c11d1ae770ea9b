"""The submission's commands where their packages are not installed."""

from __future__ import annotations

import subprocess
import sys

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
