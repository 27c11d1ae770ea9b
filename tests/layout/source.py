"""The project's own Python files, each parsed once, and what each imports."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("agent", "submission", "tools")
SOURCES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name, as `package.module` or `package.module.name`; `typing_only` if it is never run."""

    name: str
    typing_only: bool


@cache
def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(text(path))


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def imports(path: Path) -> tuple[Import, ...]:
    return tuple(_imports(tree(path), typing_only=False))


def _imports(node: ast.AST, *, typing_only: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, typing_only) for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield from (Import(f"{node.module}.{alias.name}", typing_only) for alias in node.names)
    elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        for guarded in node.body:
            yield from _imports(guarded, typing_only=True)
        for other in node.orelse:
            yield from _imports(other, typing_only=typing_only)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _imports(child, typing_only=typing_only)


@cache
def imported_modules(path: Path) -> frozenset[str]:
    """The project's own modules that the file imports when it runs, but for a top package by its bare name."""
    found = (_own_module(each.name) for each in imports(path) if not each.typing_only and each.name not in ROOMS)
    return frozenset(module for module in found if module and module != module_name(path))


@cache
def own_modules() -> Mapping[str, Path]:
    return {module_name(path): path for path in (*SOURCES, *TESTS)}


def _own_module(name: str) -> str:
    """The module that holds the imported name; empty if it is not one of ours."""
    while name and name not in own_modules():
        name = name.rpartition(".")[0]
    return name


def refuse(offenders: Iterable[str]) -> None:
    """Fail with all offenders, a line each."""
    found = list(offenders)
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")
