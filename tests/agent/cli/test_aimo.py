"""The command `aimo`: every command under one name, its version, and what it says to a name that it does not know."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest

import agent
from agent.cli.aimo import COMMANDS, main
from tests.support.calls import ROOT
from tools.bench import command as bench

OWN = ("agent", "submission", "tools")
# Commands of developers, whose tests or jails the wheel does not hold, and one that another starts.
_NOT_IN_AIMO = {"tools.soak", "tools.fuzz", "submission.worker"}


def test_every_command_is_called_by_the_last_part_of_its_module() -> None:
    for name, command in COMMANDS.items():
        assert command.module.rpartition(".")[2] == name
        assert find_spec(command.module) is not None


def test_every_package_that_can_be_run_is_a_command() -> None:
    runnable = {
        ".".join(path.relative_to(ROOT).parts[:-1]) for room in OWN for path in (ROOT / room).rglob("__main__.py")
    }
    assert runnable - _NOT_IN_AIMO <= {command.module for command in COMMANDS.values()}


def test_the_project_installs_it_with_all_that_it_runs() -> None:
    project = pyproject()
    module, _, function = project["project"]["scripts"]["aimo"].partition(":")
    assert getattr(import_module(module), function) is main
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert {command.module.split(".")[0] for command in COMMANDS.values()} <= set(packages)


def test_every_extra_that_is_to_be_installed_is_one_of_the_project() -> None:
    told = "".join(path.read_text(encoding="utf-8") for room in OWN for path in (ROOT / room).rglob("*.py"))
    named = set(re.findall(r"pip install 'aimo-agent\[(\w+)\]'", told))
    assert {"embedded", "kaggle", "report", "demo"} <= named <= set(pyproject()["project"]["optional-dependencies"])


def test_the_version_is_the_same_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith(f"aimo-agent {agent.__version__} (Python 3.")
    assert pyproject()["project"]["version"] == agent.__version__
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.*)$", citation, re.MULTILINE) == [agent.__version__]


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_the_help_names_every_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert set(re.findall(r"^  (\w+)  ", shown, re.MULTILINE)) >= {name for name in COMMANDS if len(name) < 9}
    assert all(command.summary in shown for command in COMMANDS.values())
    assert max(map(len, shown.splitlines())) <= 120


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("sovle", "no command 'sovle' (did you mean solve?)"),
        ("benchmarks", "no command 'benchmarks' (did you mean benchmark?)"),
        ("REPORT", "no command 'REPORT' (did you mean report?)"),
        ("--verison", "no flag '--verison' (did you mean --version?)"),
        ("quux", "no command 'quux'; aimo --help lists the commands"),
        ("", "no command ''; aimo --help lists the commands"),
    ],
)
def test_an_unknown_command_is_refused_with_a_guess(
    word: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([word]) == 2
    assert capsys.readouterr().err.startswith(f"error: {message}")


def test_it_runs_what_python_runs_as_a_module(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["aimo", "report", "--output", "page.html"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "required: RUN" in capsys.readouterr().err
    assert sys.argv[0] == "aimo"


def test_the_help_of_a_command_has_the_name_that_it_was_called_by(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["aimo", "bench", "sandbox", "--help"])
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().out.startswith("usage: aimo bench sandbox ")
    with pytest.raises(SystemExit):
        bench.main(["--help"])
    assert capsys.readouterr().out.startswith("usage: python -m tools.bench ")


def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
