"""Create a virtual environment (`.venv`) with pip, even if Python comes without ensurepip (as Debian's does).

Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

OLDEST = (3, 11)


def main(folder: Path = Path(".venv")) -> int:
    """Create the environment in the folder; return the exit status."""
    if sys.version_info < OLDEST:
        print(
            f"Python {OLDEST[0]}.{OLDEST[1]} or later is needed, this is {sys.version.split()[0]}: run make PYTHON=..."
        )
        return 2
    has_ensurepip = importlib.util.find_spec("ensurepip") is not None
    venv.create(folder, with_pip=has_ensurepip, clear=True)
    if has_ensurepip or install_pip(folder / "bin" / "python"):
        return 0
    print("no pip can be had for this Python: install it (Debian: apt-get install python3-venv) and run make again")
    return 2


def install_pip(python: Path) -> bool:
    """Install pip into the environment with a pip from outside; return whether that worked."""
    if importlib.util.find_spec("pip") is not None and _install([sys.executable, "-m", "pip"], python):
        return True
    with tempfile.TemporaryDirectory() as folder:
        wheel = debian_pip_wheel(Path(folder))
        return wheel is not None and _install([sys.executable, f"{wheel}/pip"], python)


def debian_pip_wheel(folder: Path) -> Path | None:
    """Download Debian's pip as a wheel, which Python can run directly; needs no root."""
    fetched = _quiet(["apt-get", "download", "python3-pip-whl"], folder)
    for package in folder.glob("*.deb"):
        fetched = fetched and _quiet(["dpkg-deb", "-x", package.name, "."], folder)
    wheels = sorted(folder.glob("usr/share/python-wheels/pip-*.whl"))
    return wheels[0] if fetched and wheels else None


def _install(pip: list[str], python: Path) -> bool:
    return _quiet([*pip, "--python", str(python.absolute()), "install", "pip"], Path.cwd())


def _quiet(command: list[str], folder: Path) -> bool:
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:2])))
