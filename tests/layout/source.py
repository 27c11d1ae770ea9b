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
_WITH_STATEMENTS = (ast.stmt, ast.ExceptHandler, ast.match_case)


@dataclass(frozen=True, slots=True)
class Import:
    """One imported name, as `package.module` or `package.module.name`; `typing_only` if it is never run."""

    name: str
    typing_only: bool


@dataclass(frozen=True, slots=True)
class Outline:
    """What the rules look at in a file: a few words of it, since the trees of all files would be a million objects."""

    docstring: str
    public_names: tuple[str, ...]  # defined by the module's top level
    function_lines: tuple[tuple[str, int], ...]
    imports: tuple[Import, ...]


@cache
def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def outline(path: Path) -> Outline:
    tree = ast.parse(text(path))
    functions = [node for node in _statements(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return Outline(
        ast.get_docstring(tree) or "",
        tuple(name for node in tree.body for name in _defined(node) if not name.startswith("_")),
        tuple((node.name, (node.end_lineno or 0) - node.lineno + 1) for node in functions),
        tuple(_imports(tree, typing_only=False)),
    )


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    """The statements in the node, and those in their blocks; no expression holds any."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        if isinstance(child, _WITH_STATEMENTS):
            yield from _statements(child)


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


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
            if isinstance(child, _WITH_STATEMENTS):
                yield from _imports(child, typing_only=typing_only)


@cache
def imported_modules(path: Path) -> frozenset[str]:
    """The project's own modules that the file imports when it runs, but for a top package by its bare name."""
    found = (
        _own_module(each.name) for each in outline(path).imports if not each.typing_only and each.name not in ROOMS
    )
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
