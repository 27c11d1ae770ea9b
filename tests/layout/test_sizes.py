"""Files, functions and folders stay small."""

from __future__ import annotations

import ast
from collections import Counter

from tests.layout.source import ROOT, SOURCES, TESTS, refuse, shown, text, tree

LONGEST_FILE = 300
LONGEST_FUNCTION = 60
MOST_MODULES = 14


def test_a_file_has_at_most_300_lines() -> None:
    lines = {shown(path): text(path).count("\n") for path in (*SOURCES, *TESTS)}
    refuse(f"{path}: {count} lines" for path, count in lines.items() if count > LONGEST_FILE)


def test_a_function_has_at_most_60_lines() -> None:
    offenders = [
        f"{shown(path)}: {node.name}"
        for path in (*SOURCES, *TESTS)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    ]
    refuse(offenders)


def test_a_folder_holds_at_most_14_modules() -> None:
    modules = Counter(path.parent for path in (*SOURCES, *TESTS) if not path.stem.startswith("__"))
    refuse(f"{shown(folder)}: {count} modules" for folder, count in modules.items() if count > MOST_MODULES)


def test_what_is_measured_is_there() -> None:
    """A rule over no files would hold forever."""
    assert ROOT / "agent" / "types.py" in SOURCES
    assert len(SOURCES) > 150
    assert len(TESTS) > 100
