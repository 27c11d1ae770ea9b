"""The submission's commands where their packages are not installed."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.process
WANTED = {"build": "jupytext", "push": "slugify", "rehearse": "jupytext", "wheelhouse": "slugify"}


@pytest.mark.parametrize("command", WANTED)
def test_a_missing_package_is_one_line(command: str) -> None:
    hide = f"import runpy, sys; sys.modules[{WANTED[command]!r}] = None"
    program = f"{hide}; runpy.run_module('submission.{command}', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr == (
        f"error: submission.{command} needs the package {WANTED[command]}: run pip install -e '.[dev]'\n"
    )
