"""No public name means two things."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from tests.layout.source import SOURCES, refuse, shown, tree

ALLOWED = {"main", "run"}


def test_a_public_name_is_defined_in_one_module() -> None:
    places = defaultdict(list)
    for path in SOURCES:
        for name in sorted(set(public_names(path))):
            places[name].append(shown(path))
    twice = {name: paths for name, paths in places.items() if len(paths) > 1 and name not in ALLOWED}
    refuse(f"{name} is defined in {' and '.join(paths)}" for name, paths in twice.items())


def public_names(path: Path) -> Iterator[str]:
    """The names without an underscore that the module's top level defines."""
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names = [node.name]
        elif isinstance(node, ast.Assign):
            names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names = [node.target.id]
        else:
            names = []
        yield from (name for name in names if not name.startswith("_"))
