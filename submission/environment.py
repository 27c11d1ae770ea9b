"""The agent's own Python environment, installed offline from a folder of wheels."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from agent.errors import InputError

REQUIREMENTS = "requirements.txt"
_QUOTED_LINES = 4


def create_environment(folder: Path, python: str = sys.executable) -> Path:
    """Create an empty virtual environment in `folder`, without the image's packages, and return its interpreter.

    Raises InputError, quoting Python, if that fails.
    """
    _run([python, "-m", "venv", "--clear", "--without-pip", str(folder)], f"{python} cannot make an environment")
    return folder / "bin" / "python"


def install_offline(python: Path, wheels: Path, *, pip: str = sys.executable) -> None:
    """Install the wheelhouse into the environment of `python`, checking each hash, without using the network.

    The pip is that of the interpreter `pip`. Raises InputError, quoting pip, if something is missing.
    """
    command = [pip, "-m", "pip", "--python", str(python), "install", "--no-index", "--no-deps", "--require-hashes"]
    command += ["--quiet", "--disable-pip-version-check", "--no-cache-dir", "--no-compile"]
    command += ["--find-links", str(wheels), "--requirement", str(wheels / REQUIREMENTS)]
    _run(command, f"the wheels of {wheels} cannot be installed")


def child_environment(code: Path, python: Path) -> dict[str, str]:
    """Environment variables for a process of that interpreter that finds our modules below `code`, and its tools."""
    own = {"PYTHONPATH": str(code), "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONHOME", "MPLBACKEND")}
    return {**kept, **own, "VIRTUAL_ENV": str(python.parent.parent)}


def _run(command: list[str], fault: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise InputError(f"{fault}: {' / '.join(lines[-_QUOTED_LINES:])}")
