"""The shape of the source: imports point one way, files and functions stay short, nothing undeclared is imported."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("agent", "submission", "tools")
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

# Each layer may import from itself and from those before it.
LAYERS = (
    ("agent.types", "agent.errors", "agent.virtual_time"),
    ("agent.files", "agent.observer"),
    ("agent.editions", "agent.config"),
    ("agent.latex",),
    ("agent.answers",),
    ("agent.chat", "agent.policy"),
    ("agent.problems", "agent.models", "agent.hardware"),
    ("agent.engine", "agent.sandbox", "agent.journal"),
    ("agent.lane",),
    ("agent.solver",),
    ("agent.run", "agent.stream_run", "agent.setup"),
    ("agent.views",),
    ("agent.cli",),
    ("agent.sandbox.cli", "agent.sandbox.__main__", "agent.solve"),
)
LONGEST_FILE = 300
LONGEST_FUNCTION = 60
MOST_MODULES = 14
FOLDERS = sorted({path.parent for path in (*SOURCES, *TESTS)})


def layer(module: str) -> int | None:
    """The rank of the longest entry of LAYERS that the module is, or is in."""
    ranks = {member: rank for rank, members in enumerate(LAYERS) for member in members}
    found = [member for member in ranks if module == member or module.startswith(f"{member}.")]
    return ranks[max(found, key=len)] if found else None


def module_name(path: Path) -> str:
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return name.removesuffix(".__init__")


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def identifier(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", [p for p in SOURCES if p.is_relative_to(ROOT / "agent")], ids=identifier)
def test_imports_point_one_way(path: Path) -> None:
    here = layer(module_name(path))
    if module_name(path) == "agent":
        return
    assert here is not None, "give the module a layer"
    for name in imported(path):
        assert name.split(".")[0] not in {"submission", "tools", "tests"}
        there = layer(name) if name.startswith("agent") else None
        assert there is None or there <= here, f"imports {name} from a later layer"


@pytest.mark.parametrize("path", SOURCES, ids=identifier)
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < LONGEST_FUNCTION, node.name


@pytest.mark.parametrize("folder", FOLDERS, ids=identifier)
def test_a_folder_holds_few_modules(folder: Path) -> None:
    assert len([path for path in folder.glob("*.py") if not path.stem.startswith("__")]) <= MOST_MODULES


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=identifier)
def test_every_import_is_declared(path: Path) -> None:
    declared = declared_distributions()
    owners = installed_modules()
    for name in {name.split(".")[0] for name in imported(path)}:
        if name in sys.stdlib_module_names or name in (*ROOMS, "tests"):
            continue
        distributions = {owner.lower().replace("_", "-") for owner in owners.get(name, [name])}
        assert distributions & declared, f"{name} is imported and not declared in pyproject.toml"


@cache
def installed_modules() -> Mapping[str, list[str]]:
    return packages_distributions()


@cache
def declared_distributions() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    return {re.split(r"[\s<>=!~;\[]", name)[0].lower().replace("_", "-") for name in wanted}
