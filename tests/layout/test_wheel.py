"""The wheel holds all that the documents name."""

from __future__ import annotations

import re
import subprocess
import tomllib

import pytest

from tests.layout.source import ROOMS, ROOT, refuse


def wheel_packages() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert all(isinstance(name, str) for name in packages)
    return list(packages)


def test_every_command_that_a_readme_names_is_in_the_wheel() -> None:
    packages = wheel_packages()
    readmes = [ROOT / "README.md", *(path for room in ROOMS for path in (ROOT / room).rglob("README.md"))]
    named = {
        (path.relative_to(ROOT).as_posix(), command)
        for path in readmes
        for command in re.findall(r"python -m ([a-z]\w*(?:\.\w+)+)", path.read_text(encoding="utf-8"))
    }
    assert named
    refuse(f"{path}: {command}" for path, command in sorted(named) if command.split(".")[0] not in packages)


@pytest.mark.process
def test_no_data_file_of_the_packages_is_ignored_by_git() -> None:
    """The wheel leaves out what git ignores."""
    beside = [
        path
        for package in wheel_packages()
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    ]
    assert {"practice.csv", "cpu.toml", "known_models.toml", "py.typed"} <= {path.name for path in beside}
    asked = "".join(f"{path.relative_to(ROOT)}\n" for path in beside)
    ignored = subprocess.run(
        ["git", "check-ignore", "--stdin"], cwd=ROOT, input=asked, capture_output=True, text=True, check=False
    )
    assert ignored.returncode in (0, 1), ignored.stderr
    refuse(ignored.stdout.splitlines())


@pytest.mark.process
def test_nothing_that_git_ignores_is_tracked() -> None:
    """A link to an environment, say, which a checkout would put in place of the one that is there."""
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--ignored", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    refuse(tracked.stdout.splitlines())
