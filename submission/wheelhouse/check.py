"""Check that a wheelhouse is complete: install it without network into a fresh environment and import everything."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from agent.errors import InputError
from submission.environment import create_environment, install_offline
from submission.isolation import can_isolate, isolated, offline_environment

_IMPORT_ALL = """
import importlib, sys
failed, without_driver = [], []
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except Exception as error:
        missing_driver = "libcuda.so" in str(error) or "NVIDIA driver" in str(error)
        (without_driver if missing_driver else failed).append(f"{name} ({type(error).__name__}: {error})")
print(len(without_driver))
sys.exit("; ".join(failed) or 0)
"""


def check_wheelhouse(folder: Path, python: str) -> str:
    """Return the result as a one-line message. Raises InputError if something is missing or cannot be imported.

    Needs an interpreter of that version on this machine.
    """
    interpreter = _interpreter(python)
    with tempfile.TemporaryDirectory(prefix="aimo-wheels-") as desk:
        environment = Path(desk, "environment")
        install = [sys.executable, "-m", "submission.wheelhouse.check", str(folder.absolute()), str(environment)]
        _run([*install, interpreter], desk, folder.absolute())
        own = environment / "bin" / "python"
        _run([sys.executable, "-m", "pip", "--python", str(own), "check"], desk)
        names = sorted({name for wheel in folder.glob("*.whl") for name in modules_of(wheel)})
        driverless = int(_run([str(own), "-I", "-c", _IMPORT_ALL, *names], desk).splitlines()[-1])
    told = f"{len(names) - driverless} modules imported"
    if driverless:
        told += f", {driverless} that need a GPU's driver not"
    how = "with the network cut" if can_isolate() else "with pip told not to use the network, which could not be cut"
    return f"checked {how}: {len(list(folder.glob('*.whl')))} wheels installed, {told}"


def modules_of(wheel: Path) -> Iterator[str]:
    """Return the top-level modules and packages of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for name in names:
        parts = name.split("/")
        if parts[0].endswith((".dist-info", ".data")) or parts[0].startswith("_"):
            continue
        if len(parts) == 1 and name.endswith((".py", ".so")):
            yield name.split(".")[0]
        elif parts[1:] == ["__init__.py"]:
            yield parts[0]
        elif parts[2:] == ["__init__.py"] and f"{parts[0]}/__init__.py" not in names:  # a namespace
            yield f"{parts[0]}.{parts[1]}"


def _interpreter(python: str) -> str:
    if python == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    found = shutil.which(f"python{python}")
    if found is None or subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode:
        raise InputError(
            f"no Python {python} on this machine to check the wheels with: install it or leave out --check"
        )
    return found


def _run(command: list[str], desk: str, *folders: Path) -> str:
    """Run a command without network, with access to the given folders; return its output."""
    # Some packages create a cache in the home directory when they are imported.
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "HOME": desk}
    if can_isolate():
        scratch = Path(desk, "scratch")
        scratch.mkdir(exist_ok=True)
        command = isolated(command, scratch=scratch, shared=[Path(desk), Path(__file__).parents[2], *folders])
    else:
        environment = offline_environment(environment)
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", env=environment)
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise InputError(f"the wheelhouse is not complete: {' / '.join(lines[-3:])}")
    return done.stdout


if __name__ == "__main__":
    install_offline(create_environment(Path(sys.argv[2]), sys.argv[3]), Path(sys.argv[1]))
